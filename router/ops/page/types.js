// Which types a route takes: the patterns of routes.toml.

// OTHER stands for the types that the configuration does not know.
export const OTHER = 'other';

// takes reports whether the patterns of a route have a type: "tick", "order.*", "*", "!tick".
export function takes(patterns, type) {
  const about = (p) => (p.endsWith('*')
    ? type.startsWith(p.slice(0, -1)) && (p !== '*' || !type.startsWith('signalbox.'))
    : p === type);
  return patterns.some((p) => p[0] !== '!' && about(p)) && !patterns.some((p) => p[0] === '!' && about(p.slice(1)));
}

// mayTake is takes for OTHER, of which only patterns can be true.
export const mayTake = (patterns, type) => (type === OTHER
  ? patterns.some((p) => p[0] !== '!' && p.endsWith('*'))
  : takes(patterns, type));
