package handlers

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"sync"

	"signalbox/router"
)

// What a paper bot remembers comes from payloads, so all of it has a limit.
const (
	maxPaperCommands  = 4096
	maxPaperBots      = 1000
	maxPaperPositions = 1000 // of one bot
	maxPaperName      = 128  // bytes of a bot's name or a symbol
	maxPaperDigits    = 40
)

// paperBook is what is on paper: bots, their positions, and recent commands with their
// answers.
type paperBook struct {
	failEvery int
	fail      string

	mu     sync.Mutex
	bots   map[string]*paperAccount
	known  map[commandKey]*paperCommand
	recent []commandKey // of known; the oldest is at next, once it is full
	next   int
	enters int
}

// commandKey is the hash of a command's channel and id, which may be long.
type commandKey [sha256.Size]byte

// paperAccount is one bot.
type paperAccount struct {
	running   bool
	positions map[string]paperPosition // by symbol
}

// paperCommand is a command that was seen.
type paperCommand struct {
	failed bool
	answer *paperStatus // nil: not obeyed yet
}

func newPaperBook(options PaperBotOptions) *paperBook {
	return &paperBook{
		failEvery: options.FailEvery, fail: options.Fail,
		bots: map[string]*paperAccount{}, known: map[commandKey]*paperCommand{},
	}
}

// obey does what a command says, or remembers that it has, and returns the answer. What is
// only early, such as an enter before its start, may be in order at the next attempt: routes
// don't wait for each other.
func (b *paperBook) obey(event *router.Event, order paperOrder) (*paperStatus, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	command := b.command(sha256.Sum256([]byte(event.Channel + "\x00" + event.ID)))
	if command.answer != nil {
		return command.answer, nil
	}
	status := &paperStatus{Bot: order.Bot, Position: "0"}
	var err error
	switch event.Type {
	case "start":
		status.State, err = "started", b.start(order, status)
	case "stop":
		status.State = "stopped"
		b.stop(order, status)
	case "enter":
		status.State, err = "entered", b.enter(order, status, command)
	case "exit":
		status.State, err = "exited", b.exit(order, status)
	default:
		err = router.Permanent(fmt.Errorf("no such command: %s; a paper bot knows start, stop, enter, exit", brief(event.Type)))
	}
	if err != nil {
		return nil, err
	}
	command.answer = status
	return status, nil
}

// command finds a command, or remembers it in place of the oldest.
func (b *paperBook) command(key commandKey) *paperCommand {
	if known := b.known[key]; known != nil {
		return known
	}
	if len(b.recent) < maxPaperCommands {
		b.recent = append(b.recent, key)
	} else {
		delete(b.known, b.recent[b.next])
		b.recent[b.next] = key
		b.next = (b.next + 1) % maxPaperCommands
	}
	command := &paperCommand{}
	b.known[key] = command
	return command
}

func (b *paperBook) start(order paperOrder, status *paperStatus) error {
	account := b.bots[order.Bot]
	if account == nil {
		if len(b.bots) >= maxPaperBots {
			return router.Permanent(fmt.Errorf("bot %s is one too many; a paper bot plays %d at most", brief(order.Bot), maxPaperBots))
		}
		account = &paperAccount{positions: map[string]paperPosition{}}
		b.bots[order.Bot] = account
	}
	account.running = true
	status.Open = account.open()
	return nil
}

// stop keeps the positions: a bot that is stopped may still exit.
func (b *paperBook) stop(order paperOrder, status *paperStatus) {
	if account := b.bots[order.Bot]; account != nil {
		account.running = false
		status.Open = account.open()
	}
}

func (b *paperBook) enter(order paperOrder, status *paperStatus, command *paperCommand) error {
	account := b.bots[order.Bot]
	side := order.Side
	if side == "" {
		side = "long"
	}
	switch {
	case account == nil || !account.running:
		return fmt.Errorf("enter: bot %s is not started; send start before", brief(order.Bot))
	case order.Symbol == "":
		return router.Permanent(errors.New("enter: data.symbol is missing: enter what?"))
	case len(order.Symbol) > maxPaperName:
		return router.Permanent(fmt.Errorf("enter: the symbol %s is longer than %d bytes", brief(order.Symbol), maxPaperName))
	case side != "long" && side != "short":
		return router.Permanent(fmt.Errorf("enter: data.side is %s; it can be long or short", brief(side)))
	case order.Size.text == "":
		return router.Permanent(errors.New("enter: data.size is missing: how much?"))
	}
	position, is := account.positions[order.Symbol]
	if is && position.side != side {
		return router.Permanent(fmt.Errorf("enter: bot %s is %s %s %s; exit that before you go %s",
			brief(order.Bot), position.side, position.size(), brief(order.Symbol), side))
	}
	if !is && len(account.positions) >= maxPaperPositions {
		return router.Permanent(fmt.Errorf("enter: bot %s has %d positions and can have no more", brief(order.Bot), maxPaperPositions))
	}
	if b.fails(command) {
		return errors.New(b.fail)
	}
	position = position.plus(side, order.Size)
	account.positions[order.Symbol] = position
	status.Symbol, status.Position = order.Symbol, position.String()
	return nil
}

func (b *paperBook) exit(order paperOrder, status *paperStatus) error {
	if order.Symbol == "" {
		return router.Permanent(errors.New("exit: data.symbol is missing: exit what?"))
	}
	account := b.bots[order.Bot]
	if account == nil {
		return fmt.Errorf("exit: bot %s was never started", brief(order.Bot))
	}
	if _, is := account.positions[order.Symbol]; !is {
		return fmt.Errorf("exit: bot %s has no position in %s", brief(order.Bot), brief(order.Symbol))
	}
	delete(account.positions, order.Symbol)
	status.Symbol = order.Symbol
	return nil
}

// fails reports whether an enter, which could be done, is to fail at this attempt.
func (b *paperBook) fails(command *paperCommand) bool {
	if command.failed {
		return false
	}
	b.enters++
	command.failed = b.failEvery > 0 && b.enters%b.failEvery == 0
	return command.failed
}

// open is the positions of a bot, as an answer says them.
func (a *paperAccount) open() map[string]string {
	open := make(map[string]string, len(a.positions))
	for symbol, position := range a.positions {
		open[symbol] = position.String()
	}
	return open
}

// paperPosition is how much of a symbol a bot has, with as many decimals as the largest
// number that was entered.
type paperPosition struct {
	side     string
	amount   *big.Rat
	decimals int
}

func (p paperPosition) plus(side string, size paperSize) paperPosition {
	sum := paperPosition{side: side, amount: new(big.Rat), decimals: max(p.decimals, size.decimals())}
	if p.amount != nil {
		sum.amount.Set(p.amount)
	}
	more, _ := new(big.Rat).SetString(size.text)
	sum.amount.Add(sum.amount, more)
	return sum
}

func (p paperPosition) size() string { return p.amount.FloatString(p.decimals) }

// String is the size, negative when the bot is short.
func (p paperPosition) String() string {
	if p.side == "short" {
		return "-" + p.size()
	}
	return p.size()
}

// paperSize is a decimal number above 0, written as a text or as a number.
type paperSize struct{ text string }

// UnmarshalJSON reads both.
func (s *paperSize) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if text == "null" {
		return nil // missing
	}
	if bytes.HasPrefix(raw, []byte(`"`)) {
		if err := json.Unmarshal(raw, &text); err != nil {
			return err
		}
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if digits := whole + fraction; len(digits) > maxPaperDigits || whole == "" || strings.Trim(digits, "0123456789") != "" ||
		strings.Trim(digits, "0") == "" || strings.HasSuffix(text, ".") {
		return fmt.Errorf("size: %s is no decimal number above 0, such as 0.02", brief(text))
	}
	s.text = text
	return nil
}

func (s paperSize) decimals() int {
	_, fraction, _ := strings.Cut(s.text, ".")
	return len(fraction)
}

// brief quotes the beginning of a text from a payload.
func brief(text string) string {
	const most = 64
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}
