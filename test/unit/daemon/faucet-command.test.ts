import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Keypair } from "@solana/web3.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { EXIT } from "../../../daemon/failure.ts";
import { type RunningChain, startChain } from "../../../localnet/chain/start-chain.ts";
import { tempFolder } from "./bench.ts";
import { NOWHERE, run } from "./run-cli.ts";

let chain: RunningChain;
beforeAll(async () => {
  chain = await startChain();
});
afterAll(() => chain.close());

const someone = (): string => Keypair.generate().publicKey.toBase58();

/** A folder whose network has a local Solana. */
function folderOf(solana: unknown): string {
  const folder = tempFolder();
  mkdirSync(join(folder, ".tollmill"));
  const dev = { url: "http://127.0.0.1:8787", apiKey: "tm_1", solana };
  writeFileSync(join(folder, ".tollmill", "dev.json"), JSON.stringify(dev));
  return folder;
}

it("gives coins of the folder's chain, says what the address has and where to see it", async () => {
  const address = someone();
  const folder = folderOf({ rpc: chain.url });
  const args = ["local", "faucet", address, "--sol", "1", "--usdc", "100", "--one", "1000"];
  const { code, out } = await run(args, { folder });
  expect(code).toBe(EXIT.ok);
  expect(out).toContain(`${address} has 1 SOL, 100 USDC and 1000 $ONE.`);
  expect((await fetch(out.split("\n")[1] ?? "")).status).toBe(200);
  const json = await run(["--json", ...args], { folder });
  expect(JSON.parse(json.out)).toMatchObject({ balance: { sol: "2", usdc: "200", one: "2000" } });
});

it("says what is wrong: no amount, a bad address, a bad amount, no chain", async () => {
  const rpc = ["--rpc", chain.url];
  for (const [args, code, words] of [
    [[someone(), ...rpc], EXIT.usage, "Say how much: --sol 1"],
    [["me", "--sol", "1", ...rpc], EXIT.refused, "me is no address of 32 bytes in base58."],
    [[someone(), "--usdc", "0.0000001", ...rpc], EXIT.refused, "at most 6 places"],
    [[someone(), "--usdc", "lots", ...rpc], EXIT.refused, "must be a decimal number"],
    [
      [someone(), "--sol", "1", "--rpc", NOWHERE],
      EXIT.unreachable,
      "is no local Solana. Start it with npm start, or give --rpc.",
    ],
    [[someone(), "--sol", "1", "--rpc", "ftp://x"], EXIT.usage, "--rpc"],
  ] as const) {
    const refused = await run(["local", "faucet", ...args]);
    expect([refused.code, refused.err]).toEqual([code, expect.stringContaining(words)]);
  }
});
