package router

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
)

// JSON returns a handler for events whose data is a T. Names are matched exactly, and
// members that T doesn't have are ignored. Data that is no T is a [Permanent] error:
// trying again cannot mend it.
func JSON[T any](handle func(ctx context.Context, event *Event, data T) error) Handler {
	return HandlerFunc(func(ctx context.Context, event *Event) error {
		var data T
		if err := json.Unmarshal(event.Data, &data); err != nil {
			return Permanent(fmt.Errorf("data of type %q: %w", event.Type, err))
		}
		return handle(ctx, event, data)
	})
}
