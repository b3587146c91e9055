package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	anyBlock    = regexp.MustCompile("(?ms)^```.*?^```$")
	pageLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	pageHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	linkTarget  = regexp.MustCompile(`\]\([^)]*\)`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// A link of a page leads to a file that is there, and to a heading that is in it.
func TestDocumentedLinks(t *testing.T) {
	t.Parallel()
	found := 0
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/*/*.md", "../../examples/*/*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			for _, link := range pageLink.FindAllStringSubmatch(prose(t, page), -1) {
				file, anchor, _ := strings.Cut(link[1], "#")
				if strings.Contains(file, ":") { // https, mailto
					continue
				}
				found++
				target := page
				if file != "" {
					target = filepath.Join(filepath.Dir(page), file)
				}
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s: %s: there is no such file", page, link[1])
				} else if anchor != "" && filepath.Ext(target) == ".md" && !anchors(t, target)[anchor] {
					t.Errorf("%s: %s: %s has no such heading", page, link[1], target)
				}
			}
		}
	}
	if found < 200 {
		t.Errorf("%d links in the pages: is the pattern right?", found)
	}
}

// prose is a page without its blocks of code.
func prose(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return anyBlock.ReplaceAllString(string(text), "")
}

// anchors are those that GitHub gives to the headings of a page.
func anchors(t *testing.T, page string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	for _, heading := range pageHeading.FindAllStringSubmatch(prose(t, page), -1) {
		words := linkTarget.ReplaceAllString(heading[1], "")
		words = strings.ToLower(notInAnchor.ReplaceAllString(words, ""))
		names[strings.ReplaceAll(words, " ", "-")] = true
	}
	return names
}
