/** Light and dark colour of each thing in the picture. */
const COLOURS: Readonly<Record<string, readonly [string, string]>> = {
  paper: ['#ffffff', '#0d1117'],
  ink: ['#1f2328', '#e6edf3'],
  dim: ['#59636e', '#9198a1'],
  grid: ['#d8dee4', '#2b323b'],
  calls: ['#0969da', '#4493f8'],
  peak: ['#b6d4f7', '#1b3a63'],
  failed: ['#cf222e', '#f85149'],
  fresh: ['#2da44e', '#3fb950'],
  live: ['#f0c75e', '#9e7620'],
  life: ['#8250df', '#ab7df8'],
  outage: ['#cf222e', '#f85149'],
};

/** What is drawn with each colour: filled, or as a line. */
const FILLED: Readonly<Record<string, string>> = {
  paper: 'paper',
  ink: 'title,.panel',
  dim: 'sub,.tick,.legend',
  calls: 'calls',
  peak: 'peak',
  failed: 'failed',
  fresh: 'fresh',
  live: 'live',
  outage: 'outage,.outage-name',
};
const LINES: Readonly<Record<string, string>> = { grid: 'grid', dim: 'axis', ink: 'limit', life: 'life' };

/** No variables, which not every program that shows pictures knows. */
function colours(of: 0 | 1): string {
  const rules = (names: typeof FILLED, property: string): string[] =>
    Object.entries(names).map(([colour, selector]) => `.${selector}{${property}:${COLOURS[colour]?.[of]}}`);
  return [...rules(FILLED, 'fill'), ...rules(LINES, 'stroke')].join('');
}

/** The style of the picture: light, and dark where the viewer asks for it. */
export const STYLE = `
text{font-family:system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif;font-size:12px}
.title{font-size:18px;font-weight:600}
.panel{font-weight:600}
.outage-name{font-size:11px}
.outage{opacity:.13}
.limit{fill:none;stroke-dasharray:5 4}
.life{fill:none;stroke-width:1.8}
${colours(0)}
@media (prefers-color-scheme:dark){${colours(1)}}
`.trim();
