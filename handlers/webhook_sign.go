package handlers

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	secretPrefix = "whsec_"
	// minSecret is how many bytes a key has at least, by the specification.
	minSecret = 24
	// maxWebhookID is the longest id that is sent as it is.
	maxWebhookID = 256
)

// webhookSigner signs with each of its keys: with two while receivers change over, with
// none if no secret is set.
type webhookSigner []*standardwebhooks.Webhook

// parseWebhookSecrets reads keys as the Standard Webhooks libraries do: base64, with or
// without the prefix. A text that is not base64 is an error, since a receiver's library
// would refuse it as well.
func parseWebhookSecrets(secret, old string) (webhookSigner, error) {
	if secret == "" && old != "" {
		return nil, errors.New("old_secret is set, but secret is not; the key of today is secret")
	}
	var signer webhookSigner
	var errs []error
	for _, option := range []struct{ name, value string }{{"secret", secret}, {"old_secret", old}} {
		if option.value == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(option.value, secretPrefix))
		const remedy = "make one with: echo whsec_$(openssl rand -base64 32)"
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: it is not base64; %s", option.name, remedy))
		case len(key) < minSecret:
			errs = append(errs, fmt.Errorf("%s: %d bytes are too short for a key, it takes %d; %s", option.name, len(key), minSecret, remedy))
		default:
			signed, err := standardwebhooks.NewWebhookRaw(key)
			signer, errs = append(signer, signed), append(errs, err)
		}
	}
	return signer, errors.Join(errs...)
}

// sign sets the fields of Standard Webhooks. The id is the event's in every attempt, the
// time is the attempt's. Without a key there is no signature.
func (s webhookSigner) sign(header http.Header, id string, at time.Time, body []byte) error {
	id = webhookID(id)
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	signatures := make([]string, len(s))
	for i, key := range s {
		var err error
		if signatures[i], err = key.Sign(id, at, body); err != nil {
			return fmt.Errorf("sign: %w", err)
		}
	}
	if len(s) > 0 {
		header.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return nil
}

// webhookID is the id of an event as a header can hold it: no two ids become the same, and
// one id is the same in every attempt. What is no letter, digit or one of -_:@+=/~ is
// written as %-escape. That includes the dot, which separates the parts of what is signed:
// a producer that chooses an id with dots could make one signature fit two requests. An id
// that is too long is a hash.
func webhookID(id string) string {
	if len(id) > maxWebhookID {
		sum := sha256.Sum256([]byte(id))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	var b strings.Builder
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-_:@+=/~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
