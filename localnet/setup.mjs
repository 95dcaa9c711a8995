// Makes a fresh clone complete, so that `npm start` and `npm test` need nothing but some Node and its npm.
//
// It is plain JavaScript for Node 18 and later, because it runs before anything is installed. npm runs scripts with
// node_modules/.bin first on the PATH, so the Node that is placed there serves everything that comes after this.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureChromium } from "./setup-chromium.mjs";

const NODE_VERSION = "22.23.3";
const NPM_VERSION = "11.19.1";
// Node strips types without a flag from here on, and wrangler needs 22.12.
const OLDEST_NODE = [22, 18];
// Older npm skips platform packages or deletes links while it installs from this lock file.
const OLDEST_NPM = 11;
// The registry has that Node for these machines.
const PACKAGED = new Set(["linux-x64", "linux-arm64", "darwin-x64"]);

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const toolsDir = join(root, ".tools");
const toolsBin = join(toolsDir, "node_modules", ".bin");
const modules = join(root, "node_modules");
const stampFile = join(modules, ".tollmill-setup");
const linkedNode = join(modules, ".bin", "node");
const platform = `${process.platform}-${process.arch}`;

const say = (text) => console.log(`setup: ${text}`);

function isRecent(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1]);
}

/** The version a command prints, or undefined if it is missing or doesn't run on this machine. */
function versionOf(command, args = []) {
  const run = spawnSync(command, [...args, "--version"], { encoding: "utf8" });
  return run.status === 0 ? run.stdout.trim() : undefined;
}

/** How to call the npm that started this script, or the first one on the PATH when none did. */
function callerNpm() {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith("npm-cli.js")) return { command: process.execPath, args: [cli] };
  return { command: process.platform === "win32" ? "npm.cmd" : "npm", args: [] };
}

function runNpm(npm, args, binDir) {
  // Only errors are of interest; warnings about a user's own npm settings would look like faults of the project.
  const env = { ...process.env, npm_config_loglevel: "error" };
  if (binDir) env.PATH = `${binDir}${delimiter}${env.PATH ?? ""}`;
  const options = { cwd: root, env, stdio: "inherit", shell: npm.command.endsWith(".cmd") };
  const run = spawnSync(npm.command, [...npm.args, ...args], options);
  if (run.error) throw new Error(`npm could not be started (${run.error.message}); install npm and try again`);
  if (run.status !== 0) {
    throw new Error(`"npm ${args.join(" ")}" failed with status ${run.status}; its own message is above`);
  }
}

/** Puts the Node and npm that the lock file was made for into .tools, and leaves the machine's own alone. */
function getTools(packages) {
  mkdirSync(toolsDir, { recursive: true });
  // A package.json of its own keeps npm from taking the project for the place to install into.
  writeFileSync(join(toolsDir, "package.json"), '{ "private": true }\n');
  say(`getting ${packages.join(" and ")} into .tools/`);
  const args = ["install", "--prefix", toolsDir, "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
  runNpm(callerNpm(), [...args, ...packages]);
}

/** A Node and an npm new enough to install with: the ones that are running, or else the ones in .tools. */
function chooseTools() {
  const wanted = [];
  let node = process.execPath;
  if (!isRecent(process.version)) {
    const tool = join(toolsBin, "node");
    if (versionOf(tool) !== `v${NODE_VERSION}`) {
      if (!PACKAGED.has(platform)) {
        throw new Error(
          `Node ${process.version} is too old and there is no packaged one for ${platform}; ` +
            `install Node >= ${OLDEST_NODE.join(".")} and run this again`,
        );
      }
      wanted.push(`node-${platform}@${NODE_VERSION}`);
    }
    node = tool;
  }
  const own = callerNpm();
  const ownVersion = versionOf(own.command, own.args) ?? "0";
  const toolNpm = join(toolsDir, "node_modules", "npm", "bin", "npm-cli.js");
  const needsNpm = Number.parseInt(ownVersion, 10) < OLDEST_NPM;
  if (needsNpm && !existsSync(toolNpm)) wanted.push(`npm@${NPM_VERSION}`);
  if (wanted.length > 0) {
    // npm removes what it isn't asked for, so both are named once one of them is missing.
    const both = [node !== process.execPath && `node-${platform}@${NODE_VERSION}`, needsNpm && `npm@${NPM_VERSION}`];
    getTools(both.filter(Boolean));
  }
  const ran = versionOf(node);
  if (!ran) {
    throw new Error(
      `the packaged Node does not run on this system; install Node >= ${OLDEST_NODE.join(".")} and run this again`,
    );
  }
  if (needsNpm) return { node, npm: { command: node, args: [toolNpm] } };
  // The npm of the caller is run by the chosen Node, since npm skips packages that the Node under it is too old for.
  return { node, npm: own.args.length > 0 ? { command: node, args: own.args } : own };
}

/** Makes sure that npm scripts find a recent Node first, whatever the machine's own is. Returns its version. */
function linkNode(node) {
  const packaged = versionOf(linkedNode);
  if (packaged && isRecent(packaged)) return packaged;
  rmSync(linkedNode, { force: true });
  // A Node inside node_modules has just been replaced by the installation, so it can't be what is linked to.
  if (node.startsWith(modules + sep)) throw new Error("the installed Node is gone; run this once more");
  if (node !== process.execPath || process.execPath.startsWith(toolsDir + sep)) symlinkSync(node, linkedNode);
  return versionOf(node);
}

function stamp() {
  const lock = readFileSync(join(root, "package-lock.json"));
  return createHash("sha256").update(lock).update(platform).update(NODE_VERSION).digest("hex");
}

/** True if node_modules is what the lock file says and npm scripts will find a recent Node. */
function isComplete() {
  if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp()) return false;
  return existsSync(linkedNode) || isRecent(process.version);
}

function install() {
  const { node, npm } = chooseTools();
  say("installing the packages of package-lock.json (about a minute)");
  runNpm(npm, ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], dirname(node));
  say(`packages are in place, scripts run on Node ${linkNode(node)}`);
  writeFileSync(stampFile, stamp());
}

/** The API reference at /docs loads this file from the network itself, so that it needs no foreign host. */
function copyApiReference() {
  const from = join(modules, "@scalar", "api-reference", "dist", "browser", "standalone.js");
  const to = join(root, "web", "public", "docs", "api-reference.js");
  if (existsSync(to) && lstatSync(to).size === lstatSync(from).size) return;
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, 0o644);
}

try {
  if (!isComplete()) install();
  copyApiReference();
  if (process.argv.includes("--with-chromium")) ensureChromium(say);
} catch (error) {
  // A plain Error says what to do; any other kind is a mistake in here, and its stack is what helps.
  console.error(`setup: ${error.name === "Error" ? error.message : error.stack}`);
  process.exit(1);
}
