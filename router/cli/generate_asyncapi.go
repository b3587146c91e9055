package cli

import (
	"net/url"

	"github.com/spf13/cobra"

	"signalbox/router/daemon"
	"signalbox/router/generate"
	"signalbox/router/routesfile"
)

func (a *app) generateAsyncAPICommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "asyncapi",
		Short: "Write an AsyncAPI 3.0 document of the channels, their types and schemas",
		Long: `Write an AsyncAPI 3.0 document, in JSON, of the channels, their types and schemas, and of
what this service receives and sends. The payload of a type is its schema, if the channel
has one, else what all events have. Schemas are copied into the document, with the files
that they refer to.`,
		Example: `  router generate asyncapi --out asyncapi.json
  router generate asyncapi -c config/channels.toml -c config/bot.toml | jq .channels`,
		Args: noArguments, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			loaded, err := daemon.Declared(a.options())
			if err != nil {
				return err
			}
			text, err := generate.AsyncAPI(loaded.Config, loaded.Files, serverOf(loaded.Settings.Redis))
			if err != nil {
				return err
			}
			return generate.Write(a.out, out, text)
		},
	}
	addOut(c, &out)
	return c
}

// serverOf is the host of a Redis, without its user and password. A socket, and a URL that
// is not known, are none.
func serverOf(redis routesfile.Redis) generate.Server {
	u, err := url.Parse(redis.URL)
	if err != nil {
		return generate.Server{}
	}
	return generate.Server{Host: u.Host, TLS: u.Scheme == "rediss"}
}
