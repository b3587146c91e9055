package condition_test

import (
	"fmt"

	"signalbox/router"
	"signalbox/router/routesfile/condition"
)

func Example() {
	compiler, err := condition.NewCompiler("momentum-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	event := &router.Event{Type: "enter", Data: []byte(`{"bot":"momentum-1","price":"97000.50","count":3}`)}
	for _, text := range []string{
		`event.data.bot == service`,
		`double(event.data.price) > 97000`,
		`event.data.stop > 97000`,
		`event.data.price > 97000`,
		`event.data.count * 2 > 5`,
		`event.tpye == "enter"`,
	} {
		when, err := compiler.Compile(text)
		if err != nil {
			fmt.Println("mistake:", err)
			continue
		}
		matches, err := when(event)
		fmt.Println(matches, err)
	}
	// Output:
	// true <nil>
	// true <nil>
	// false <nil>
	// false data.price is a string: write double(event.data.price)
	// false data.count is a double: write 2.0
	// mistake: event has no field "tpye"; did you mean "type"?
}

func ExampleCompiler_Explain() {
	compiler, err := condition.NewCompiler("momentum-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	event := &router.Event{Type: "enter", Data: []byte(`{"bot":"momentum-2"}`)}
	for _, text := range []string{
		`event.type == "enter" && event.data.bot == service`,
		`event.type == "enter" && event.data.price > 97000`,
	} {
		answer, err := compiler.Explain(text, event)
		if err != nil {
			fmt.Println("mistake:", err)
			continue
		}
		fmt.Printf("%t, by %s: %s\n", answer.Matches, answer.Clause, answer.Values)
	}
	// Of an event whose data nobody knows, some conditions are not known either.
	answer, err := compiler.Explain(`event.data.bot == service`, event, "data")
	fmt.Println(answer.Unknown, err)
	// Output:
	// false, by event.data.bot == service: "momentum-2" == "momentum-1"
	// false, by event.data.price > 97000: event.data.price is missing
	// true <nil>
}

func ExampleCompiler_CompileStrict() {
	compiler, err := condition.NewCompiler("momentum-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	const text = `event.data.price > 97000`
	route, _ := compiler.Compile(text)
	strict, _ := compiler.CompileStrict(text)
	event := &router.Event{Type: "stop", Data: []byte(`{"bot":"momentum-1"}`)}
	fmt.Println(route(event))
	fmt.Println(strict(event))
	// Output:
	// false <nil>
	// false the message lacks a member that the condition reads
}
