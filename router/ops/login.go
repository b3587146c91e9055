package ops

import (
	"io"
	"net/http"
	"strings"
)

// maxForm is the most that a login form may hold, in bytes.
const maxForm = 4 << 10

// loginHTML is the login page; what went wrong stands where the mark is. It is never what
// somebody sent.
const loginHTML = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Signalbox: log in</title>
<link rel="icon" href="/assets/favicon.svg">
<link rel="stylesheet" href="/assets/style.css">
<main class="login">
<h1>Signalbox</h1>
<form method="post" action="/login">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button>
</form>
<p role="alert">MARK</p>
<p>The token is that of the key <code>token</code> in <code>[http]</code>.</p>
</main>
</html>
`

func (g *guard) loginPage(w http.ResponseWriter, _ *http.Request) {
	g.writeLogin(w, http.StatusOK, "")
}

func (g *guard) writeLogin(w http.ResponseWriter, status int, wrong string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, strings.Replace(loginHTML, "MARK", wrong, 1))
}

// login gives who knows the token a cookie.
func (g *guard) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	given := strings.TrimSpace(r.PostFormValue("token"))
	if !g.token.is(given) {
		g.refused(r, "the token is wrong")
		g.writeLogin(w, http.StatusUnauthorized, "That is not the token.")
		return
	}
	value, ends := g.token.session()
	http.SetCookie(w, &http.Cookie{
		Name: g.token.cookie, Value: value, Path: "/", Expires: ends,
		HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.Header.Get("X-Forwarded-Proto") == "https", // we speak no TLS; a proxy before us may
	})
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (g *guard) logout(w http.ResponseWriter, r *http.Request) {
	if g.known(r) { // else the cookie's name would tell a stranger whether a guess is right
		http.SetCookie(w, &http.Cookie{Name: g.token.cookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
