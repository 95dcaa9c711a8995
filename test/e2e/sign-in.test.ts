/** A wallet's way through a network from the terminal: a file with a keypair, a session on disk, and its end. */

import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { walletOf } from "../support/wallet.ts";
import { cleanUp, NodeProcess, temporaryFolder } from "./support/children.ts";
import { CLI } from "./support/daemon.ts";
import { Network } from "./support/network.ts";

const DAY_SECONDS = 86_400;
const [alice, second] = [walletOf("alice"), walletOf("second")];

let network: Network;
let solana: Server;
let folder: string;
let sessions: string;

/** A node that knows alice's wallet for a year. */
function startSolana(): Promise<Server> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data: Buffer) => (body += data.toString()));
    request.on("end", () => {
      const { method, params } = JSON.parse(body) as { method: string; params: [string, { commitment: string }] };
      const isKnown =
        method === "getSignaturesForAddress" && params[0] === alice.address && params[1].commitment === "finalized";
      const blockTime = Math.floor(Date.now() / 1_000) - 365 * DAY_SECONDS;
      const result = isKnown ? [{ signature: "5".repeat(88), slot: 1, blockTime }] : [];
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, result }));
    });
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

async function keypair(name: string, bytes: Uint8Array): Promise<string> {
  const file = join(folder, `${name}.json`);
  await writeFile(file, JSON.stringify([...bytes]));
  return file;
}

beforeAll(async () => {
  solana = await startSolana();
  const { port } = solana.address() as AddressInfo;
  network = await Network.start([], { SOLANA_RPC_URL: `http://127.0.0.1:${port}` });
  folder = await temporaryFolder();
  sessions = join(folder, "sessions");
});
afterAll(async () => {
  await cleanUp();
  await network?.close();
  solana?.close();
});

async function tollmill(...args: string[]) {
  const env = { TOLLMILL_SESSIONS: sessions, TOLLMILL_API_KEY: "" };
  const child = new NodeProcess([CLI, "--url", network.url, ...args], { env });
  const { code } = await child.exited;
  return { code, out: child.stdout.trim(), err: child.stderr };
}

it("opens an account with a keypair file, keeps the session for its owner alone, and ends it", async () => {
  const file = await keypair("alice", alice.secretKey);
  const first = await tollmill("login", "--keypair", file);
  expect(first).toMatchObject({ code: 0, out: expect.stringMatching(/^[0-9A-Za-z]{22}$/) as unknown });
  expect(first.err).toContain("The starter balance was granted.");
  const [name = ""] = await readdir(sessions);
  const kept = await readFile(join(sessions, name), "utf8");
  expect(kept).toMatch(/tms_.*tmr_/s);
  expect((await stat(join(sessions, name))).mode & 0o777).toBe(0o600);
  expect(first.out + first.err).not.toMatch(/tm[sr]_/);

  expect((await tollmill("balance")).out).toContain("1200.000 credits available");
  const again = await tollmill("login", "--keypair", file, "--json");
  expect(JSON.parse(again.out)).toMatchObject({ account: first.out, opened: false, starter: "granted_before" });
  expect((await tollmill("balance")).out).toContain("1200.000 credits available");

  const linked = await tollmill("wallets", "link", "--keypair", await keypair("second", second.secretKey));
  expect([linked.code, linked.err]).toEqual([0, `${second.address} signs you in now.\n`]);
  expect((await tollmill("wallets")).out.split("\n").slice(1)).toEqual([
    expect.stringContaining(alice.address) as unknown,
    expect.stringContaining(second.address) as unknown,
  ]);
  const unlinked = await tollmill("wallets", "unlink", second.address, "--keypair", file);
  expect([unlinked.code, unlinked.err]).toEqual([0, `${second.address} is unlinked.\n`]);
  const last = await tollmill("wallets", "unlink", alice.address, "--keypair", file);
  expect([last.code, last.err]).toEqual([4, expect.stringContaining("last wallet")]);

  // A session that is about to end is refreshed on the way, also by two commands at once.
  const session = JSON.parse(await readFile(join(sessions, name), "utf8"));
  const soon = new Date(Date.now() + 30_000).toISOString();
  await writeFile(join(sessions, name), JSON.stringify({ ...session, access_expires_at: soon }));
  const both = await Promise.all([tollmill("balance"), tollmill("balance")]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  const next = JSON.parse(await readFile(join(sessions, name), "utf8"));
  expect(next.refresh_token).not.toBe(session.refresh_token);

  expect((await tollmill("logout")).code).toBe(0);
  expect(await readdir(sessions)).toEqual([]);
  const ended = await network.call("/api/v1/balance", { apiKey: next.access_token });
  expect(ended.status).toBe(401);
  const out = await tollmill("balance");
  expect([out.code, out.err]).toEqual([4, expect.stringContaining("tollmill login")]);
});

it("signs nothing with a file that is no keypair, and says nothing of what is in it", async () => {
  const damaged = alice.secretKey.slice();
  damaged[40] = (damaged[40] ?? 0) ^ 1;
  const [half, text] = [await keypair("half", alice.secretKey.subarray(0, 32)), join(folder, "text.json")];
  await writeFile(text, "not a keypair: 12345");
  for (const file of [await keypair("damaged", damaged), half, text, join(folder, "nowhere")]) {
    const { code, out, err } = await tollmill("login", "--keypair", file);
    expect([code, out]).toEqual([2, ""]);
    expect(err).toContain(file);
    expect(err).not.toContain("12345");
  }
});
