package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"signalbox/config"
	"signalbox/router/routesfile"
)

// schemaFile is what the first line of the shipped routes calls their schema.
const schemaFile = "routes.schema.json"

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write routes to begin with (default config/routes.toml)",
		Long: `Write routes to begin with, to FILE or to config/routes.toml: those that demo runs. Beside
them goes routes.schema.json, by which editors complete keys and mark mistakes.
A file that exists is left alone.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file := filepath.Join("config", "routes.toml")
			if len(args) == 1 {
				file = args[0]
			}
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // routes are no secret, and a container's user has to read them
				return fmt.Errorf("make the folder: %w", err)
			}
			err := writeNew(file, config.Routes)
			if errors.Is(err, os.ErrExist) {
				return fmt.Errorf("%s exists already; name another file: %s FILE", file, c.CommandPath())
			} else if err != nil {
				return fmt.Errorf("write the routes: %w", err)
			}
			schema, err := a.writeSchema(filepath.Dir(file))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.out, "wrote %[1]s%[4]s; edit it, then:\n  %[2]s check%[3]s\n  %[2]s run --embedded --watch%[3]s\n", file, a.program, asConfig(file), schema)
			return err
		},
	}
}

// writeSchema writes the schema that the routes refer to, unless there is one, and says so.
func (a *app) writeSchema(folder string) (said string, err error) {
	file := filepath.Join(folder, schemaFile)
	schema, err := routesfile.Schema(a.kinds)
	if err != nil {
		return "", err
	}
	if err := writeNew(file, schema); errors.Is(err, os.ErrExist) {
		return "", nil
	} else if err != nil {
		return "", fmt.Errorf("write the schema: %w", err)
	}
	return " (and " + schemaFile + " beside it, for editors)", nil
}

// writeNew never writes over a file that somebody wrote.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // the user names the file, and it holds no secret
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// asConfig is the flag that names a file which is not found without.
func asConfig(file string) string {
	if file == filepath.Join("config", "routes.toml") {
		return ""
	}
	return " -c " + file
}
