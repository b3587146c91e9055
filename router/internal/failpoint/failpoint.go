// Package failpoint names the places where the chaos suite breaks a running router.
//
// Only a program built with the tag failpoints can be broken; in every other build the
// functions are empty and the compiler leaves nothing of them. Such a program reads
// these variables when the first point is reached:
//
//	CHAOS_FAILPOINTS=after-read=kill@3,before-ack=pause:2s@1
//	CHAOS_BROKEN=no-claim
//	CHAOS_CLOCK=1h
//
// The first kills the process (SIGKILL) when it reaches a point for the third time,
// and holds it up when it reaches another for the first time. The second makes it
// behave as if a mistake had been made in the code: the suite has to notice. The third
// sets the clock of its machine ahead, as far as the time of Redis is told by it.
package failpoint

// Point is a place in the code.
type Point string

// The points.
const (
	AfterRead Point = "after-read" // entries were read from a group, and nobody knows yet
	BeforeAck Point = "before-ack" // events are done, and Redis has not been told
	AfterDead Point = "after-dead" // dead letters were written, and their events are not done yet
	AfterWork Point = "after-work" // events were handled, and dedupe has not marked them as done
	MidReload Point = "mid-reload" // a new configuration is built, and its channels get it one by one
	MidClaim  Point = "mid-claim"  // a dead consumer's entries are ours, and not handled yet
	// BeforePublish is where the holder of a source has made sure that it is, and Redis does not know yet.
	BeforePublish Point = "before-publish"
)

// Defect is a mistake that somebody might make.
type Defect string

// The defects.
const (
	AckFirst       Defect = "ack-first"       // entries are acknowledged before they are handled
	GroupAtEnd     Defect = "group-at-end"    // a group that vanished is made again at $
	NoAck          Defect = "no-ack"          // entries are read with NOACK
	NoClaim        Defect = "no-claim"        // nobody takes over from anybody
	CursorReset    Defect = "cursor-reset"    // each pass of XAUTOCLAIM begins at the beginning and is one page
	NoReread       Defect = "no-reread"       // a lost reply is not looked for in what is pending
	NoHeartbeat    Defect = "no-heartbeat"    // what is in hand is not extended
	DoneFirst      Defect = "done-first"      // dedupe marks an event as done before it is handled
	IgnoreDead     Defect = "ignore-dead"     // an event is done although its dead letter could not be written
	DeleteConsumer Defect = "delete-consumer" // a consumer is deleted at the end, with what it has pending
	OwnClock       Defect = "own-clock"       // ages are told by the clock of the machine
	RetryNewID     Defect = "retry-new-id"    // an event that is sent again is another event
	HoldOn         Defect = "hold-on"         // who holds a source goes on when it cannot renew its lease
	NoFence        Defect = "no-fence"        // who held a source publishes what it has left
	NoDelay        Defect = "no-delay"        // who takes a source over connects at once
)
