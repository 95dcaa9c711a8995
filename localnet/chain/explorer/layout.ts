/** The frame of every page. */

import { html } from "hono/html";

/** HTML whose values have been escaped. */
export type Markup = ReturnType<typeof html>;

export function layout(title: string, body: Markup): Markup {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.25rem; } h2 { font-size: 1rem; margin-top: 2rem; }
h1 a { color: inherit; text-decoration: none; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1.5rem; }
dt { opacity: .7; } dd { margin: 0; } .w { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; opacity: .7; }
th, td { padding: .25rem 1rem .25rem 0; border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
.n { text-align: right; } .bad { color: light-dark(#b00020, #ff8a80); }
pre { overflow-x: auto; padding: 1rem; background: color-mix(in srgb, currentColor 6%, transparent); }
a, code, pre, dd { font-family: ui-monospace, monospace; font-size: .9em; } h1 a { font: inherit; }
</style>
</head>
<body>
<h1><a href="/">Tollmill, local Solana</a>${title === "Local Solana" ? "" : html` / ${title}`}</h1>
${body}
</body>
</html>`;
}
