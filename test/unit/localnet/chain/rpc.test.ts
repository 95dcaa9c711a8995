import { Keypair, SystemProgram } from "@solana/web3.js";
import { describe, expect, it } from "vitest";
import { sign, start } from "./support.ts";

async function post(url: string, body: unknown): Promise<{ status: number; text: string; json: () => never }> {
  const response = await fetch(url, { method: "POST", body: typeof body === "string" ? body : JSON.stringify(body) });
  const text = await response.text();
  return { status: response.status, text, json: () => JSON.parse(text) as never };
}

const call = (method: string, ...params: unknown[]) => ({ jsonrpc: "2.0", id: 1, method, params });

describe("JSON-RPC", () => {
  it("refuses with a code for each kind of mistake, and answers with 200", async () => {
    const { url } = await start();
    for (const [body, code, words] of [
      ["{", -32700, "Parse error"],
      ["7", -32600, "Invalid request"],
      [[], -32600, "Invalid request"],
      [{ id: 1, method: "getSlot" }, -32600, "Invalid request"],
      [call("getNothing"), -32601, "Method not found"],
      [call("toString"), -32601, "Method not found"],
      [call("getBalance"), -32602, "Invalid params"],
      [call("getBalance", "0OIl"), -32602, "no address of 32 bytes in base58"],
      [call("getSlot", { commitment: "certain" }), -32602, "commitment"],
      [call("getAccountInfo", "1".repeat(32), { minContextSlot: 10 ** 9 }), -32016, "Minimum context slot"],
      [call("getTransaction", "abc"), -32602, "no signature of 64 bytes"],
      [call("getSignaturesForAddress", "1".repeat(32), { commitment: "processed" }), -32602, "below `confirmed`"],
      [call("getSignaturesForAddress", "1".repeat(32), { limit: 1_001 }), -32602, "limit"],
      [call("getSignatureStatuses", Array(257).fill("1".repeat(64))), -32602, "max 256"],
      [call("sendTransaction", "AAAA", { encoding: "base64" }), -32602, "failed to deserialize"],
      [call("sendTransaction", "A".repeat(4_000), { encoding: "base64" }), -32602, "the most are 1232"],
      [call("getBlockTime", 1), -32004, "Block not available"],
      [call("getFeeForMessage", "////"), -32602, "no transaction message"],
    ] as const) {
      const { status, json } = await post(url, body);
      const { error } = json() as { error: { code: number; message: string } };
      expect([status, error.code, error.message]).toEqual([200, code, expect.stringContaining(words)]);
    }
  });

  it("answers a batch in its order, each call for itself, and nothing to a notification", async () => {
    const { url } = await start();
    const batch = [
      { ...call("getSlot"), id: "a" },
      { ...call("getNothing"), id: 2 },
      5,
      { jsonrpc: "2.0", method: "getSlot" },
    ];
    const answers = (await post(url, batch)).json() as { id: unknown; result?: number; error?: { code: number } }[];
    expect(answers.map(({ id, error }) => [id, error?.code])).toEqual([
      ["a", undefined],
      [2, -32601],
      [null, -32600],
    ]);
    expect(await post(url, { jsonrpc: "2.0", method: "getSlot" })).toMatchObject({ status: 200, text: "" });
    expect((await post(url, { jsonrpc: "2.0", id: 3, method: "getHealth" })).json()).toEqual({
      jsonrpc: "2.0",
      id: 3,
      result: "ok",
    });
  });

  it("refuses a bad signature in the preflight, and never lets it land", async () => {
    const { client, payer, chain } = await start();
    const pay = SystemProgram.transfer({
      fromPubkey: payer.publicKey,
      toPubkey: Keypair.generate().publicKey,
      lamports: 900_000,
    });
    const raw = await sign(client, [payer], pay);
    raw.writeUInt8(raw.readUInt8(1) ^ 1, 1);
    await expect(client.sendRawTransaction(raw)).rejects.toThrow("signature verification failure");
    const before = chain.landedCount;
    await client.sendRawTransaction(raw, { skipPreflight: true });
    raw.fill(0, 1, 65);
    await expect(client.sendRawTransaction(raw)).rejects.toThrow("signature verification failure");
    await client.sendRawTransaction(raw, { skipPreflight: true });
    chain.advance(5);
    expect(chain.landedCount).toBe(before);
  });

  it("carries a failed preflight's log and error in its data", async () => {
    const { client, payer, url } = await start();
    const pay = SystemProgram.transfer({
      fromPubkey: payer.publicKey,
      toPubkey: Keypair.generate().publicKey,
      lamports: 10 ** 12,
    });
    const raw = (await sign(client, [payer], pay)).toString("base64");
    const { error } = (
      await post(url, call("sendTransaction", raw, { encoding: "base64", preflightCommitment: "processed" }))
    ).json() as {
      error: object;
    };
    expect(error).toMatchObject({
      code: -32002,
      message: "Transaction simulation failed: Error processing Instruction 0: custom program error: 0x1",
      data: { err: { InstructionError: [0, { Custom: 1 }] }, unitsConsumed: 150, accounts: null },
    });
    expect((error as { data: { logs: string[] } }).data.logs).toHaveLength(3);
  });

  it("tells about itself", async () => {
    const one = await start({ seed: "one", startMs: 1_700_000_000_000 });
    const { client, chain } = one;
    expect(await client.getGenesisHash()).not.toBe(await (await start({ seed: "two" })).client.getGenesisHash());
    expect((await client.getVersion())["solana-core"]).toMatch(/^\d+\.\d+\.\d+$/);
    expect(await client.getBlockTime(chain.slot)).toBe(1_700_000_000);
    chain.advance(10);
    expect(await client.getBlockTime(chain.slot)).toBe(1_700_000_004);
    const info = await client.getEpochInfo();
    expect(info).toMatchObject({ absoluteSlot: chain.slot, epoch: 0, slotIndex: chain.slot, transactionCount: 1 });
    expect(info.blockHeight).toBe(await client.getBlockHeight());
    chain.advance(432_000);
    expect((await client.getEpochInfo()).epoch).toBe(1);
    expect(await client.getMinimumBalanceForRentExemption(165)).toBe(2_039_280);
    expect(await client.getTransactionCount()).toBe(1);
  });
});
