package ops

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// session is how long a login lasts.
const session = 30 * 24 * time.Hour

// token is the secret that who asks must know. A browser shows it once and then a cookie
// that was signed with it, so that the token is not kept there, and a restart of the router
// logs nobody out.
type token struct {
	sum    [sha256.Size]byte
	key    []byte
	cookie string // its name: routers on one machine share a browser's cookies
	now    func() time.Time
}

func newToken(secret string) *token {
	t := &token{sum: sha256.Sum256([]byte(secret)), key: []byte(secret), now: time.Now}
	t.cookie = "signalbox_" + t.sign("cookie")[:8]
	return t
}

// is reports whether somebody knows the token. Sums are compared, in constant time, so
// that neither its length nor its beginning can be found out.
func (t *token) is(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return hmac.Equal(sum[:], t.sum[:])
}

// session is a cookie's value: when it ends, and a signature of that.
func (t *token) session() (value string, ends time.Time) {
	ends = t.now().Add(session)
	until := strconv.FormatInt(ends.Unix(), 10)
	return until + "." + t.sign("until "+until), ends
}

// signed reports whether a cookie's value is one of ours and has not ended.
func (t *token) signed(value string) bool {
	until, signature, _ := strings.Cut(value, ".")
	if !hmac.Equal([]byte(signature), []byte(t.sign("until "+until))) {
		return false
	}
	ends, err := strconv.ParseInt(until, 10, 64)
	return err == nil && t.now().Unix() < ends
}

func (t *token) sign(text string) string {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte("signalbox " + text))
	return hex.EncodeToString(mac.Sum(nil))
}
