import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const executablePath = process.env["CHROMIUM"] || "/usr/bin/chromium";

/** True if browser tests can run. Under CI=true they always do, so that a missing browser is a failure there. */
export const hasChromium = existsSync(executablePath) || process.env["CI"] === "true";

if (!hasChromium) {
  console.warn(`Browser tests are skipped: no Chromium at ${executablePath}. Install it or set CHROMIUM to its path.`);
}

/** Starts a Chromium that talks to nobody but the pages under test. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      // Tests may run as root in a container, where Chromium's sandbox refuses to start.
      "--no-sandbox",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-domain-reliability",
      "--disable-sync",
      "--no-first-run",
      "--no-pings",
    ],
  });
}
