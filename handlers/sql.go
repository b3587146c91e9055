package handlers

import (
	"context"
	"time"

	"signalbox/router"
)

// SQL is the kind that saves events in a table of a PostgreSQL or SQLite database, many
// with one statement, each once.
//
// A row that the database refuses for what is in it (a value that doesn't fit, a
// constraint) is a [router.Permanent] error of that event alone. Whatever else keeps the
// database from saving is [router.Unavailable]: a table that is missing for a minute
// costs no event. Its handler begins to connect when it is made, waits for nothing, and
// has to be closed.
func SQL() router.Kind[SQLOptions] {
	return router.Kind[SQLOptions]{
		Name:    "sql",
		Doc:     "Saves events in a table of a PostgreSQL or SQLite database, each once.",
		Target:  true,
		Workers: sqlWorkers,
		New: func(env router.Env, options SQLOptions) (router.Handler, error) {
			if err := options.Validate(); err != nil {
				return nil, err
			}
			return newSaver(env, options)
		},
	}
}

const (
	// sqlWorkers is how many statements a route has under way, if it doesn't say.
	sqlWorkers = 4
	// statementTime is how long one statement may take. Then the database counts as away:
	// a link that swallows packets is noticed, and who holds a lock is waited for without
	// holding one.
	statementTime = 10 * time.Second
	// statementBytes is how much one statement carries, if it has several events: what
	// a slow link can take within statementTime.
	statementBytes = 4 << 20
	// closeTime is how long Close waits for connections to end.
	closeTime = 2 * time.Second
)

// database is where events are saved.
type database interface {
	// prepare finds the table, or makes it, and returns what is worth a warning. It
	// doesn't run twice at a time.
	prepare(ctx context.Context) (warnings []string, err error)
	// insert saves all events, or none. It is called from several goroutines, after prepare.
	insert(ctx context.Context, events []*router.Event) error
	// fault says what an error of the two means, and names the column that one event
	// does not fit.
	fault(ctx context.Context, err error, events []*router.Event) (fault, error)
	// close ends all connections. Nothing runs any more.
	close()
}

// fault is whose fault an error is.
type fault int

const (
	// away: the database's, which cannot save now. Events wait.
	away fault = iota
	// changed: likewise, and the table is not, or not any more, as it was found.
	changed
	// refused: one row's. Saving it again cannot help.
	refused
	// unclear: perhaps one row's. It is tried as often as its route says.
	unclear
)
