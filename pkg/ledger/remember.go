package ledger

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// remembering keeps every statement prepared on its connection, by text, for as long as the connection lives. SQLite
// compiles a statement for longer than it runs it, and the queue library sends plain text; this way both its
// statements and ours are compiled once. It relies on callers using a bounded set of texts.
type remembering struct{ driver.Connector }

// rememberedMax bounds what one connection remembers; beyond it a statement is compiled each time.
const rememberedMax = 256

func (r remembering) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := r.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	sc, ok := c.(sqliteConn)
	if !ok {
		_ = c.Close()
		return nil, fmt.Errorf("SQLite driver's connection %T lacks a method that the ledger needs", c)
	}
	return &rememberingConn{sqliteConn: sc, stmts: make(map[string]*rememberedStmt)}, nil
}

// sqliteConn is what database/sql uses of the driver's connection.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
	driver.Pinger
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

type rememberingConn struct {
	sqliteConn
	stmts map[string]*rememberedStmt
}

type rememberedStmt struct {
	stmt sqliteStmt
	busy bool // a result set over it is still open; it must not be restarted
}

// ExecContext implements driver.ExecerContext. The statement runs to its end even when ctx ends: it is local and short,
// and interrupting it would cost a goroutine per call and the connection.
func (c *rememberingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.remember(ctx, query)
	if err != nil || s == nil {
		return fallback(err, func() (driver.Result, error) { return c.sqliteConn.ExecContext(ctx, query, args) })
	}
	return s.stmt.ExecContext(context.WithoutCancel(ctx), args)
}

// QueryContext implements driver.QueryerContext.
func (c *rememberingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.remember(ctx, query)
	if err != nil || s == nil {
		return fallback(err, func() (driver.Rows, error) { return c.sqliteConn.QueryContext(ctx, query, args) })
	}
	rows, err := s.stmt.QueryContext(context.WithoutCancel(ctx), args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &rememberedRows{Rows: rows, of: s}, nil
}

func fallback[T any](err error, direct func() (T, error)) (T, error) {
	if err != nil {
		var zero T
		return zero, err
	}
	return direct()
}

// remember returns nil without an error when the statement must be compiled for this one use.
func (c *rememberingConn) remember(ctx context.Context, query string) (*rememberedStmt, error) {
	if s, ok := c.stmts[query]; ok {
		if s.busy {
			return nil, nil
		}
		return s, nil
	}
	if len(c.stmts) >= rememberedMax {
		return nil, nil
	}
	stmt, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	ss, ok := stmt.(sqliteStmt)
	if !ok {
		return nil, stmt.Close()
	}
	s := &rememberedStmt{stmt: ss}
	c.stmts[query] = s
	return s, nil
}

// Close implements driver.Conn.
func (c *rememberingConn) Close() error {
	for _, s := range c.stmts {
		_ = s.stmt.Close()
	}
	clear(c.stmts)
	return c.sqliteConn.Close()
}

type rememberedRows struct {
	driver.Rows
	of *rememberedStmt
}

// Close implements driver.Rows; the statement can be used again.
func (r *rememberedRows) Close() error {
	r.of.busy = false
	return r.Rows.Close()
}
