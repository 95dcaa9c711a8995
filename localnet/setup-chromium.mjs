// Finds or gets the browser of the browser tests. Plain JavaScript for Node 18 and later, like setup.mjs.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Where the browser tests look: $CHROMIUM, or the place of Debian's package. */
export const chromiumPath = () => process.env.CHROMIUM || "/usr/bin/chromium";

function canUseApt() {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  return spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status === 0;
}

function installByApt(say) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const steps = [
    ["update", "-qq"],
    ["install", "-y", "-qq", "--no-install-recommends", "chromium"],
  ];
  for (const args of steps) {
    say(`apt-get ${args.join(" ")}`);
    // Only errors are of interest: the usual output is a page of packages.
    const run = spawnSync("apt-get", args, { env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    if (run.status !== 0) {
      console.error(run.stderr);
      return;
    }
  }
}

/** Without Chromium browser tests are skipped, and that is said; under CI=true nothing may be skipped. */
export function ensureChromium(say) {
  if (existsSync(chromiumPath())) return;
  // A path that was given and is wrong is a mistake to report, not a reason to install another browser.
  if (!process.env.CHROMIUM && canUseApt()) installByApt(say);
  if (existsSync(chromiumPath())) return;
  const how = "install Chromium (Debian: apt-get install chromium) or set CHROMIUM to the path of its executable";
  if (process.env.CI === "true") throw new Error(`the browser tests need Chromium, and CI=true skips nothing; ${how}`);
  say(`there is no Chromium at ${chromiumPath()}, so browser tests will be skipped; ${how}`);
}
