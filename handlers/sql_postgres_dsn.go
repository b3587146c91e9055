package handlers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"signalbox/router"
)

// pgConfig is what a dsn says: how to connect, and the parameters behind the ? that are not
// the server's. They are called as pgx and its pool call them.
type pgConfig struct {
	*pgconn.Config
	mode     pgMode
	maxConns int
	lifetime time.Duration // of a connection
	jitter   time.Duration // at most so much is added, so that not all end together
	idleTime time.Duration // that a connection lasts without work
	pingTime time.Duration // that a connection has to answer when it was idle; 0: what the statement has
}

// pgMode is how a statement is sent.
type pgMode string

const (
	pgPrepared pgMode = "cache_statement" // what inserts is prepared, once on each connection
	pgUnnamed  pgMode = "exec"            // prepared and used in one request
	pgSimple   pgMode = "simple_protocol" // as a text, with the values in it
)

// pgModes are the words for them. The types of values need no question to the server, so
// that those which ask it are the same as the one that doesn't.
func pgModes() map[string]pgMode {
	return map[string]pgMode{
		"cache_statement": pgPrepared, "cache_describe": pgUnnamed, "describe_exec": pgUnnamed, "exec": pgUnnamed, "simple_protocol": pgSimple,
	}
}

// readDSN reads a dsn. Its errors may have parts of a password in them: see parsePostgres.
func readDSN(dsn string) (*pgConfig, error) {
	connection, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	c := &pgConfig{Config: connection, mode: pgPrepared, maxConns: sqlWorkers, lifetime: time.Hour, idleTime: 30 * time.Minute}
	if err := c.takeMode(); err != nil {
		return nil, err
	}
	for name, takes := range map[string]*time.Duration{
		"pool_max_conn_lifetime": &c.lifetime, "pool_max_conn_lifetime_jitter": &c.jitter, "pool_max_conn_idle_time": &c.idleTime, "pool_ping_timeout": &c.pingTime,
	} {
		if text, is := c.take(name); is {
			if *takes, err = time.ParseDuration(text); err != nil {
				return nil, errors.New("cannot parse " + name)
			}
		}
	}
	if text, is := c.take("pool_max_conns"); is {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 1 {
			return nil, errors.New("cannot parse pool_max_conns")
		}
		c.maxConns = int(n)
	}
	return c, nil
}

// takeMode reads default_query_exec_mode, and how many statements may be prepared: none is a mode, too.
func (c *pgConfig) takeMode() error {
	if text, is := c.take("default_query_exec_mode"); is {
		if c.mode, is = pgModes()[text]; !is {
			return errors.New("default_query_exec_mode is invalid")
		}
	}
	for _, name := range []string{"statement_cache_capacity", "description_cache_capacity"} {
		text, is := c.take(name)
		if !is {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return errors.New("cannot parse " + name)
		}
		if n <= 0 && name == "statement_cache_capacity" && c.mode == pgPrepared {
			c.mode = pgUnnamed
		}
	}
	return nil
}

// take takes a parameter that the server is not told.
func (c *pgConfig) take(name string) (text string, is bool) {
	text, is = c.RuntimeParams[name]
	delete(c.RuntimeParams, name)
	return text, is
}

// end is when a connection that begins now has lived long enough.
func (c *pgConfig) end() time.Time {
	end := time.Now().Add(c.lifetime)
	if c.jitter > 0 {
		end = end.Add(rand.N(c.jitter))
	}
	return end
}

// complete sets what the dsn leaves out.
func (c *pgConfig) complete(env router.Env) {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = statementTime / 2
	}
	// A time that names no zone is UTC, wherever the server is.
	c.RuntimeParams["timezone"] = "UTC"
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "signalbox:" + env.Service
	}
	local := strings.HasPrefix(c.Host, "/") || c.Host == "localhost" || net.ParseIP(c.Host).IsLoopback()
	if !local && (c.TLSConfig == nil || c.TLSConfig.InsecureSkipVerify) {
		env.Log.Info("the database's certificate is not checked: who sits between could read everything; sslmode=verify-full in the dsn checks it", "host", c.Host)
	}
}

// parsePostgres reads a dsn. What pgx says of one that it cannot read may have parts of a
// password in it, so only the words that are pgx's own are passed on.
func parsePostgres(dsn string) (*pgConfig, error) {
	config, err := readDSN(dsn)
	if err == nil {
		for _, name := range []string{"pool_min_conns", "pool_min_idle_conns", "pool_health_check_period"} {
			if _, is := config.RuntimeParams[name]; is {
				return nil, fmt.Errorf("dsn: %s is not offered: connections are made when they are needed; leave it out", name)
			}
		}
		return config, nil
	}
	why, remedy := "", "write postgres://user:password@host:5432/database, special characters of the password as %XX (/ is %2F)"
	for _, words := range []string{
		"sslmode is invalid", "pool_max_conns", "pool_max_conn_lifetime_jitter", "pool_max_conn_lifetime",
		"pool_max_conn_idle_time", "pool_ping_timeout", "default_query_exec_mode", "statement_cache_capacity",
		"description_cache_capacity", "connect_timeout", "invalid port", "target_session_attrs", "sslrootcert", "sslcert", "sslkey",
	} {
		if strings.Contains(err.Error(), words) {
			why = " (" + words + ")"
			if words != "invalid port" {
				remedy = "correct this parameter behind the ?; a file that it names must be there"
			}
			break
		}
	}
	return nil, fmt.Errorf("dsn: PostgreSQL's address cannot be read%s; %s", why, remedy)
}
