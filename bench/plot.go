package main

import (
	"fmt"
	"html"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// plot is messages per second against something, each on a logarithmic scale of its own.
type plot struct {
	file, title, x string
	series         []series
}

// series is one line of a plot.
type series struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

const (
	plotWidth, plotHeight = 640, 360
	plotLeft, plotTop     = 70, 40
	plotRight, plotBottom = 620, 310
	blue, orange, green   = "#0b5cad", "#d1661b", "#3b8f3b"
)

// write writes the plot as SVG. It has its own background, for pages that are dark.
func (p plot) write(dir string) error {
	minX, maxX, minY, maxY := p.bounds()
	at := func(pt point) (x, y float64) {
		return scale(pt.x, minX, maxX, plotLeft, plotRight), scale(pt.y, minY, maxY, plotBottom, plotTop)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", plotWidth, plotHeight)
	text := func(x, y float64, anchor, s string) {
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="%s" fill="#222">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
	}
	text(plotLeft, 22, "start", p.title)
	text((plotLeft+plotRight)/2, plotHeight-12, "middle", p.x)
	for y := math.Pow(10, math.Ceil(math.Log10(minY))); y <= maxY; y *= 10 {
		_, py := at(point{minX, y})
		fmt.Fprintf(&b, `<path d="M%d %.0fH%d" stroke="#ddd"/>`+"\n", plotLeft, py, plotRight)
		text(plotLeft-8, py+4, "end", short(y)+"/s")
	}
	fmt.Fprintf(&b, `<path d="M%d %dV%dH%d" fill="none" stroke="#222"/>`+"\n", plotLeft, plotTop, plotBottom, plotRight)
	for _, pt := range p.series[0].points {
		px, _ := at(pt)
		text(px, plotBottom+18, "middle", short(pt.x))
	}
	for i, s := range p.series {
		color := []string{blue, orange, green}[i%3]
		var line []string
		for _, pt := range s.points {
			px, py := at(pt)
			line = append(line, fmt.Sprintf("%.1f %.1f", px, py))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %s</title></circle>`+"\n", px, py, color, short(pt.x), short(pt.y))
		}
		fmt.Fprintf(&b, `<path d="M%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(line, "L"), color)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="%s">%s</text>`+"\n", plotRight, 22+14*i, color, html.EscapeString(s.name))
	}
	b.WriteString("</svg>\n")
	return os.WriteFile(filepath.Join(dir, p.file), []byte(b.String()), 0o644) //nolint:gosec // a page shows it
}

// bounds are what the scales have to hold.
func (p plot) bounds() (minX, maxX, minY, maxY float64) {
	minX, minY = math.Inf(1), math.Inf(1)
	for _, s := range p.series {
		for _, pt := range s.points {
			minX, maxX = min(minX, pt.x), max(maxX, pt.x)
			minY, maxY = min(minY, pt.y), max(maxY, pt.y)
		}
	}
	return minX, maxX, min(minY/1.5, maxY/20), maxY * 1.5
}

// scale places v, of the logarithmic scale from low to high, between from and to.
func scale(v, low, high, from, to float64) float64 {
	if low == high {
		return (from + to) / 2
	}
	return from + (to-from)*math.Log(v/low)/math.Log(high/low)
}
