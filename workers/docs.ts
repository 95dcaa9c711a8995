/** The reference at /docs: one page that loads its program from this network itself (localnet/setup.mjs puts it there). */

import type { Context } from "hono";
import { html } from "hono/html";
import { ERRORS } from "../core/errors.ts";

/**
 * Everything comes from this origin. The reference styles itself from its program, hence the one `unsafe-inline`, which
 * is for styles only; scripts are files.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** No fonts, no telemetry, no helper from anywhere else. */
const CONFIGURATION = {
  url: "/openapi.json",
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  showDeveloperTools: "never",
  hideClientButton: true,
  authentication: { preferredSecurityScheme: "apiKey" },
  metaData: { title: "Tollmill API" },
};

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Tollmill API</title>
    <link rel="icon" href="data:," />
  </head>
  <body>
    <noscript>This reference needs JavaScript. The same is at <a href="/openapi.json">/openapi.json</a>.</noscript>
    <script id="api-reference" data-url="/openapi.json" data-configuration='${JSON.stringify(CONFIGURATION)}'></script>
    <script src="/docs/api-reference.js"></script>
  </body>
</html>
`;

const HEADERS = {
  "content-security-policy": POLICY,
  "referrer-policy": "no-referrer",
  "cache-control": "public, max-age=300",
};

export function referencePage(c: Context): Response {
  return c.html(PAGE, 200, HEADERS);
}

/** Every error by its code: where a problem's `type` leads. */
export function errorsPage(c: Context): Response | Promise<Response> {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, title, fix }]) =>
      html`<dt id="${code}"><code>${code}</code> (${status})</dt>
        <dd>${title} ${fix}</dd>`,
  );
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Tollmill errors</title>
        <link rel="icon" href="data:," />
      </head>
      <body>
        <h1>Errors</h1>
        <p>A code is never renamed: programs may match on it. The <a href="/docs">reference</a> has the calls.</p>
        <dl>
          ${rows}
        </dl>
      </body>
    </html>`;
  return c.html(page, 200, HEADERS);
}
