import { Keypair, LAMPORTS_PER_SOL, SystemProgram, type TransactionInstruction } from "@solana/web3.js";
import { describe, expect, it } from "vitest";
import { type FaultInput, Faults, parseFaults } from "../../../../localnet/chain/faults.ts";
import { refusalOf, send, sign, start, type TestChain } from "./support.ts";

const to = Keypair.generate().publicKey;

function pay({ payer }: TestChain, lamports = 1_000_000): TransactionInstruction {
  return SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports });
}

async function statusOf({ client }: TestChain, signature: string) {
  return (await client.getSignatureStatus(signature, { searchTransactionHistory: true })).value;
}

describe("a transaction", () => {
  it("dropped is accepted and never lands, and sent again it does", async () => {
    const chain = await start({ faults: [{ kind: "drop", times: 1 }] });
    const raw = await sign(chain.client, [chain.payer], pay(chain));
    const signature = await chain.client.sendRawTransaction(raw);
    chain.chain.advance(100);
    expect(await statusOf(chain, signature)).toBeNull();
    expect(await chain.client.sendRawTransaction(raw)).toBe(signature);
    expect(await statusOf(chain, signature)).not.toBeNull();
    expect(chain.faults.happened).toEqual({ drop: 1 });
  });

  it("delayed lands in the slot that was said", async () => {
    const chain = await start({ faults: [{ kind: "delay", slots: 20, times: 1 }] });
    const sent = chain.chain.slot;
    const signature = await send(chain.client, [chain.payer], pay(chain));
    chain.chain.advance(19);
    expect(await statusOf(chain, signature)).toBeNull();
    chain.chain.advance(30);
    expect((await statusOf(chain, signature))?.slot).toBe(sent + 20);
  });

  it("delayed past the life of its blockhash never lands", async () => {
    for (const [slots, lands] of [
      [150, true],
      [151, false],
      [100_000, false],
    ] as const) {
      const chain = await start({ faults: [{ kind: "delay", slots, times: 1 }] });
      const signature = await send(chain.client, [chain.payer], pay(chain));
      expect(chain.chain.kept.delayed).toBe(lands ? 1 : 0);
      chain.chain.advance(400);
      expect((await statusOf(chain, signature)) !== null).toBe(lands);
      expect(await chain.client.getBalance(to)).toBe(lands ? 1_000_000 : 0);
      expect(chain.chain.kept.delayed).toBe(0);
    }
  });

  it("delayed past the life of an older blockhash never lands", async () => {
    const chain = await start({ faults: [{ kind: "delay", slots: 100, times: 1 }] });
    const raw = await sign(chain.client, [chain.payer], pay(chain));
    chain.chain.advance(51);
    const signature = await chain.client.sendRawTransaction(raw);
    chain.chain.advance(200);
    expect(await statusOf(chain, signature)).toBeNull();
    expect(chain.chain.kept.delayed).toBe(0);
  });

  it("failed on the chain pays its fee and moves nothing", async () => {
    const chain = await start({ faults: [{ kind: "fail", times: 1 }] });
    const before = await chain.client.getBalance(chain.payer.publicKey);
    const signature = await send(chain.client, [chain.payer], pay(chain));
    expect((await statusOf(chain, signature))?.err).toEqual({ InstructionError: [0, { Custom: 9_999 }] });
    expect(before - (await chain.client.getBalance(chain.payer.publicKey))).toBe(5_000);
    expect(await chain.client.getBalance(to)).toBe(0);
    chain.chain.advance(1);
    const found = await chain.client.getTransaction(signature, {
      commitment: "confirmed",
      maxSupportedTransactionVersion: 0,
    });
    expect(found?.meta).toMatchObject({ err: { InstructionError: [0, { Custom: 9_999 }] }, fee: 5_000 });
  });

  it("failed and delayed fails later", async () => {
    const chain = await start({ faults: [{ kind: "fail" }, { kind: "delay", slots: 2 }] });
    const signature = await send(chain.client, [chain.payer], pay(chain));
    chain.chain.advance(2);
    expect((await statusOf(chain, signature))?.err).not.toBeNull();
  });
});

describe("a connection", () => {
  it("that breaks after the call leaves its work done", async () => {
    const chain = await start();
    const raw = await sign(chain.client, [chain.payer], pay(chain));
    chain.faults.add({ kind: "break_after", method: "sendTransaction", times: 1 });
    await refusalOf(chain.client.sendRawTransaction(raw));
    expect(await chain.client.getBalance(to)).toBe(1_000_000);
    expect((await refusalOf(chain.client.sendRawTransaction(raw))).message).toContain("already been processed");
  });

  it("that breaks before the call leaves nothing done", async () => {
    const chain = await start();
    const raw = await sign(chain.client, [chain.payer], pay(chain));
    chain.faults.add({ kind: "break_before", method: "sendTransaction", times: 1, waitMs: 30 });
    const at = performance.now();
    await refusalOf(chain.client.sendRawTransaction(raw));
    expect(performance.now() - at).toBeGreaterThan(25);
    expect(await chain.client.getBalance(to)).toBe(0);
    await chain.client.sendRawTransaction(raw);
    expect(await chain.client.getBalance(to)).toBe(1_000_000);
  });

  it("is told of too many requests with 429, which the client repeats", async () => {
    const chain = await start();
    chain.faults.add({ kind: "rate_limit", method: "getSlot", times: 1 });
    const refused = await refusalOf(chain.client.getSlot());
    expect(refused.message).toContain("429");
    chain.faults.add({ kind: "rate_limit", times: 2 });
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getSlot" });
    const plain = () => fetch(chain.url, { method: "POST", body });
    const first = await plain();
    expect([first.status, first.headers.get("retry-after")]).toEqual([429, "1"]);
    expect([(await plain()).status, (await plain()).status]).toEqual([429, 200]);
  });
});

describe("a node that lags", () => {
  it("answers from the slot where it is: balances, blockhashes, signatures, history", async () => {
    const chain = await start();
    const { client, faults } = chain;
    chain.chain.advance(20);
    const signature = await send(client, [chain.payer], pay(chain));
    chain.chain.advance(4);
    const lagged = async <T>(call: () => Promise<T>) => {
      faults.add({ kind: "lag", slots: 5, times: 1 });
      return await call();
    };
    expect(await lagged(() => client.getBalance(to))).toBe(0);
    expect(await lagged(() => client.getSlot())).toBe(chain.chain.slot - 5);
    expect((await lagged(() => client.getSignatureStatus(signature))).value).toBeNull();
    expect(await lagged(() => client.getSignaturesForAddress(to, {}, "confirmed"))).toEqual([]);
    const options = { commitment: "confirmed", maxSupportedTransactionVersion: 0 } as const;
    expect(await lagged(() => client.getTransaction(signature, options))).toBeNull();
    const minContextSlot = chain.chain.slot - 2;
    const behind = await refusalOf(lagged(() => client.getBalance(to, { commitment: "processed", minContextSlot })));
    expect(behind.message).toContain("Minimum context slot has not been reached");
    expect(await client.getBalance(to)).toBe(1_000_000);
  });

  it("does not take a blockhash that it has not seen", async () => {
    const chain = await start();
    chain.chain.advance(20);
    const raw = await sign(chain.client, [chain.payer], pay(chain));
    chain.faults.add({ kind: "lag", slots: 3, method: "sendTransaction", times: 1 });
    expect((await refusalOf(chain.client.sendRawTransaction(raw))).message).toContain("Blockhash not found");
    await chain.client.sendRawTransaction(raw);
  });

  it("reads from as far back as a fault may say", async () => {
    const chain = await start();
    chain.chain.advance(400);
    const { slot } = chain.chain;
    for (let gift = 1; gift <= 3; gift++) {
      await chain.client.requestAirdrop(to, LAMPORTS_PER_SOL);
      chain.chain.advance(100);
    }
    chain.faults.add({ kind: "lag", slots: 256, times: 1 });
    const seen = await chain.client.getBalanceAndContext(to, "finalized");
    expect([seen.context.slot, seen.value]).toEqual([slot + 300 - 256 - 32, LAMPORTS_PER_SOL]);
  });
});

describe("faults", () => {
  const draws = (seed: number, faults: FaultInput[], calls = 1_000) => {
    const drawn = new Faults(seed);
    drawn.add(...faults);
    return Array.from({ length: calls }, () => drawn.meet("sendTransaction").drop !== undefined);
  };

  it("follow from their seed, at about their probability", () => {
    const fault: FaultInput = { kind: "drop", probability: 0.3 };
    expect(draws(7, [fault])).toEqual(draws(7, [fault]));
    expect(draws(7, [fault])).not.toEqual(draws(8, [fault]));
    const hits = draws(7, [fault]).filter(Boolean).length;
    expect(hits).toBeGreaterThan(250);
    expect(hits).toBeLessThan(350);
  });

  it("meet the next calls of the method that they are aimed at, and no others", () => {
    const faults = new Faults();
    faults.add({ kind: "lag", slots: 4, method: "getBalance", times: 2 }, { kind: "drop", times: 1 });
    expect(faults.meet("getSlot")).toEqual({});
    expect(faults.meet("getBalance").lag?.slots).toBe(4);
    expect(faults.waiting.map(({ times }) => times)).toEqual([1, 1]);
    expect(faults.meet("getBalance").lag?.slots).toBe(4);
    expect(faults.meet("getBalance")).toEqual({});
    expect(Object.keys(faults.meet("sendTransaction"))).toEqual(["drop"]);
    expect([faults.meet("sendTransaction"), faults.waiting, faults.happened]).toEqual([{}, [], { lag: 2, drop: 1 }]);
  });

  it("are read from a command line, and a wrong one is named", () => {
    expect(parseFaults("drop@0.1,lag=5@0.3:getAccountInfo,break_after=200,rate_limit")).toEqual([
      { kind: "drop", probability: 0.1 },
      { kind: "lag", slots: 5, probability: 0.3, method: "getAccountInfo" },
      { kind: "break_after", waitMs: 200 },
      { kind: "rate_limit" },
    ]);
    for (const wrong of ["explode", "lag", "drop=3", "lag=257", "drop@1.5", "drop@", "delay=0"]) {
      expect(() => parseFaults(`fail,${wrong}`)).toThrow(`${wrong} is no fault`);
    }
  });
});
