#!/usr/bin/env node
// Starts the command line: from its sources in a checkout, from the bundle in an installed package, where Node refuses to
// strip types. Plain JavaScript that old versions of Node can read, so that they can be told what they lack.

import { existsSync } from "node:fs";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  const message = `tollmill needs Node >= 22.18, and this is ${process.versions.node}. Install a newer one: https://nodejs.org`;
  const json = process.argv.includes("--json");
  console.error(json ? JSON.stringify({ error: { message, exit_code: 2 } }) : message);
  process.exit(2);
}
const source = new URL("../main.ts", import.meta.url);
const bundle = new URL("../../dist/tollmill/main.mjs", import.meta.url);
await import((existsSync(source) ? source : bundle).href);
