package router

// Publisher sends events to declared channels. (Being written.)
type Publisher struct{}
