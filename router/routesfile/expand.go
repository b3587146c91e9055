package routesfile

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// maxSecret is the size of the largest file that ${file:…} reads.
const maxSecret = 64 << 10

// absentError is a reference to what this machine does not have: an error when the
// router runs, a note when its configuration is only checked.
type absentError struct{ text, variable string }

func (e absentError) Error() string { return e.text }

// inTest says the same to the author of a test.
func (e absentError) inTest() string {
	if e.variable == "" {
		return "no test reads files such as secrets; write ${NAME} in place of ${file:…}, and give NAME in env"
	}
	return fmt.Sprintf("variable %[1]s is not set; give it in env: env = { %[1]s = \"…\" }", e.variable)
}

// expansion is a string with its references replaced.
type expansion struct {
	text string
	any  bool // there were references
	only bool // the string was exactly one reference

	secrets []string // what references to secrets stand for
}

// expand replaces ${VAR}, ${VAR:-default}, ${VAR:?message}, ${file:path} and $$ in
// text. It runs after parsing, so that no value can change what is around it. Dir is
// the folder that the path of a file starts from; sealed, none is read.
func expand(text, dir string, env map[string]string, sealed bool) (expansion, error) {
	if !strings.Contains(text, "$") {
		return expansion{text: text}, nil
	}
	var out strings.Builder
	var result expansion
	for rest := text; rest != ""; {
		literal, after, found := strings.Cut(rest, "$")
		out.WriteString(literal)
		if !found {
			break
		}
		switch {
		case strings.HasPrefix(after, "$"):
			out.WriteByte('$')
			rest = after[1:]
		case strings.HasPrefix(after, "{"):
			body, tail, closed := strings.Cut(after[1:], "}")
			if !closed {
				return expansion{}, fmt.Errorf("${%s is not closed; end it with }", shorten(body))
			}
			value, err := resolve(body, dir, env, sealed)
			if err != nil {
				return expansion{}, err
			}
			out.WriteString(value)
			if saidSecret("${" + body + "}") {
				result.secrets = append(result.secrets, value)
			}
			result.any = true
			result.only = literal == "" && len(rest) == len(text) && tail == ""
			rest = tail
		default:
			return expansion{}, fmt.Errorf("a $ begins a reference such as ${%s}; write $$ for a $ itself", nameAfter(after, env))
		}
	}
	result.text = out.String()
	return result, nil
}

// resolve is the value of what stands between ${ and }.
func resolve(body, dir string, env map[string]string, sealed bool) (string, error) {
	if path, ok := strings.CutPrefix(body, "file:"); ok {
		if sealed {
			return "", absentError{text: "no file is read here"}
		}
		return readSecret(path, dir)
	}
	name, rest, operator := strings.Cut(body, ":")
	if !isVariable(name) {
		return "", fmt.Errorf("${%s}: a variable's name is letters, digits and _; write ${NAME}, ${NAME:-default}, ${NAME:?message} or ${file:path}", shorten(body))
	}
	value, set := env[name]
	switch {
	case !operator && set:
		return value, nil
	case !operator:
		for _, other := range slices.Sorted(maps.Keys(env)) {
			if strings.EqualFold(other, name) {
				return "", absentError{fmt.Sprintf("variable %s is not set, and %s is; did you mean ${%[2]s}?", name, other), name}
			}
		}
		return "", absentError{fmt.Sprintf("variable %s is not set; set it, or write ${%s:-default}", name, name), name}
	case strings.HasPrefix(rest, "-"):
		if value == "" {
			return rest[1:], nil
		}
		return value, nil
	case strings.HasPrefix(rest, "?"):
		if value == "" {
			return "", absentError{fmt.Sprintf("variable %s is not set: %s", name, rest[1:]), name}
		}
		return value, nil
	}
	switch {
	case strings.EqualFold(name, "file"):
		return "", fmt.Errorf("${%s}: write ${file:path}, in lower case", shorten(body))
	case strings.EqualFold(name, "env") && isVariable(rest):
		return "", fmt.Errorf("${%s}: write ${%s}", shorten(body), shorten(rest))
	}
	return "", fmt.Errorf("${%s}: after the : comes -default or ?message", shorten(body))
}

// reference is a ${…} in a text, or what stands before one.
type reference struct {
	literal  string // as it is written; the others are empty then
	variable string
	file     string
	fallback *string // what follows :-
}

// references takes a text apart, as expand does. What cannot be read is taken literally.
func references(text string) (parts []reference) {
	for text != "" {
		before, after, found := strings.Cut(text, "${")
		if strings.HasSuffix(before, "$") && strings.Count(before, "$")%2 == 1 { // $$ and then {
			parts, text = append(parts, reference{literal: before + "${"}), after
			continue
		}
		body, rest, closed := strings.Cut(after, "}")
		if !found || !closed {
			return append(parts, reference{literal: text})
		}
		if before != "" {
			parts = append(parts, reference{literal: before})
		}
		if path, ok := strings.CutPrefix(body, "file:"); ok {
			parts, text = append(parts, reference{file: path}), rest
			continue
		}
		name, what, _ := strings.Cut(body, ":")
		one := reference{variable: name}
		if fallback, ok := strings.CutPrefix(what, "-"); ok {
			one.fallback = &fallback
		}
		parts, text = append(parts, one), rest
	}
	return parts
}

// isSecret reports whether a value that has the reference is one.
func (r reference) isSecret() bool { return r.file != "" || isSecretName(r.variable) }

// saidSecret reports whether a text refers to a secret.
func saidSecret(text string) bool { return slices.ContainsFunc(references(text), reference.isSecret) }

// nameAfter is the name of a variable that a text begins with, or NAME: what is no
// variable may be a part of a password.
func nameAfter(text string, env map[string]string) string {
	end := 0
	for end < len(text) && isVariable(text[:end+1]) {
		end++
	}
	if _, set := env[text[:end]]; set {
		return text[:end]
	}
	return "NAME"
}

func isVariable(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// readSecret is the content of a file without its last line end.
func readSecret(path, dir string) (string, error) {
	if path == "" {
		return "", errors.New("${file:} names no file; write ${file:/run/secrets/name}")
	}
	path = beside(dir, path)
	data, err := readAtMost(path, maxSecret)
	if err != nil {
		return "", absentError{text: fmt.Sprintf("file %s cannot be read: %s", path, err)}
	}
	text := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}

// environment splits the "NAME=value" of os.Environ.
func environment(environ []string) map[string]string {
	env := make(map[string]string, len(environ))
	for _, line := range environ {
		if name, value, ok := strings.Cut(line, "="); ok {
			env[name] = value
		}
	}
	return env
}

// plain is the cause of a file error without the operation and the path, which the
// message that carries it says already.
func plain(err error) error {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err
	}
	return err
}
