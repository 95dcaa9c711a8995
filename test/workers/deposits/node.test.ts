/** What nodes answer, and what becomes of it. */

import { expect, it, vi } from "vitest";
import { solanaChain, solanaNode, treasuryOf } from "../../../workers/deposits/solana-chain.ts";
import { keyOf } from "../../support/payments.ts";

interface Asked {
  readonly id: string;
  readonly method: string;
  readonly params: readonly unknown[];
}

const SIGNATURE = keyOf(1, 64);
const ok = (result: unknown) => (asked: Asked) => Response.json({ jsonrpc: "2.0", id: asked.id, result });
const refused = (code: number) => (asked: Asked) =>
  Response.json({ jsonrpc: "2.0", id: asked.id, error: { code, message: "no" } });
const lost = () => {
  throw new TypeError("fetch failed");
};

/** A node that answers with these, one after the other, and the chain that asks it. */
function nodeWith(...answers: ((asked: Asked) => Response)[]) {
  const asked: Asked[] = [];
  const send = vi.fn<typeof fetch>(async (_url, init) => {
    const call = JSON.parse(init?.body as string) as Asked;
    asked.push(call);
    const answer = answers[asked.length - 1];
    if (answer === undefined) throw new Error("the node was asked too often");
    return answer(call);
  });
  return { asked, send, chain: solanaChain(solanaNode("http://node.test", send, 1)) };
}

it.each([
  ["a lost connection", lost],
  ["429", () => new Response("slow down", { status: 429 })],
  ["a broken gateway", () => new Response("bad gateway", { status: 502 })],
  ["no JSON", () => new Response("<html>")],
  ["a node that is behind", refused(-32016)],
])("asks again after %s", async (_what, answer) => {
  const { chain, asked } = nodeWith(answer, ok(keyOf(9)));
  expect(await chain.genesis()).toBe(keyOf(9));
  expect(asked).toHaveLength(2);
});

it("gives up after four tries, and at once where no repetition helps", async () => {
  const busy = nodeWith(lost, lost, lost, lost);
  await expect(busy.chain.genesis()).rejects.toThrow("fetch failed");
  const hopeless = nodeWith(refused(-32602));
  await expect(hopeless.chain.signatures(keyOf(1), { below: null, leastSlot: 0, limit: 9 })).rejects.toThrow("no");
  expect([busy.asked.length, hopeless.asked.length]).toEqual([4, 1]);
});

it("waits for no node for ever", async () => {
  const { chain, send } = nodeWith(ok(keyOf(9)));
  await chain.genesis();
  expect(send.mock.calls[0]?.[1]?.signal).toBeInstanceOf(AbortSignal);
});

it("asks for what is final, of a node that has come as far as another one", async () => {
  const { chain, asked } = nodeWith(ok([{ signature: SIGNATURE, slot: 7, err: null, memo: null, blockTime: 1 }]));
  const page = await chain.signatures(keyOf(1), { below: keyOf(2, 64), leastSlot: 5, limit: 9 });
  expect(page).toEqual([{ signature: SIGNATURE, slot: 7 }]);
  expect(asked[0]).toMatchObject({
    method: "getSignaturesForAddress",
    params: [keyOf(1), { before: keyOf(2, 64), limit: 9, minContextSlot: 5, commitment: "finalized" }],
  });
});

const address = (n: number) => ({ pubkey: keyOf(n), signer: false, writable: true });
const balance = (accountIndex: number, owner: string, amount: string) => ({
  accountIndex,
  mint: keyOf(30),
  owner,
  uiTokenAmount: { amount, decimals: 6, uiAmount: 0, uiAmountString: "0" },
});
const ANSWER = {
  slot: 12,
  blockTime: 1_700_000_000,
  version: 0,
  transaction: {
    signatures: [SIGNATURE],
    message: {
      accountKeys: [address(10), address(11), address(12)],
      recentBlockhash: keyOf(20),
      instructions: [
        { programId: keyOf(40), program: "spl-memo", parsed: "hello" },
        { programId: keyOf(41), accounts: [keyOf(10)], data: "3x" },
      ],
    },
  },
  meta: {
    err: null,
    fee: 5_000,
    preBalances: [1, 1, 1],
    postBalances: [1, 1, 1],
    preTokenBalances: [balance(1, keyOf(50), "9")],
    postTokenBalances: [balance(1, keyOf(50), "2"), balance(2, keyOf(51), "7")],
    innerInstructions: [
      {
        index: 1,
        instructions: [
          {
            programId: keyOf(42),
            program: "spl-token",
            parsed: { type: "transfer", info: { source: keyOf(11), destination: keyOf(12), amount: "7" } },
          },
        ],
      },
    ],
  },
};

it("reads a transaction, with those instructions inside that programs call", async () => {
  const { chain, asked } = nodeWith(ok(null), ok(ANSWER));
  const mint = keyOf(30);
  expect(await chain.transaction(SIGNATURE)).toEqual({
    signature: SIGNATURE,
    slot: 12,
    at: 1_700_000_000_000,
    failed: false,
    keys: [keyOf(10), keyOf(11), keyOf(12)],
    memos: ["hello"],
    instructions: [
      { program: "spl-memo", type: null, info: {} },
      { program: null, type: null, info: {} },
      {
        program: "spl-token",
        type: "transfer",
        info: { source: keyOf(11), destination: keyOf(12), amount: "7" },
      },
    ],
    balances: [
      { account: keyOf(11), mint, owner: keyOf(50), before: 9n, after: 2n },
      { account: keyOf(12), mint, owner: keyOf(51), before: 0n, after: 7n },
    ],
  });
  expect(asked[1]).toMatchObject({
    method: "getTransaction",
    params: [SIGNATURE, { commitment: "finalized", maxSupportedTransactionVersion: 0, encoding: "jsonParsed" }],
  });
});

it("finds the token account of a wallet, where wallets pay to", () => {
  // The treasury of the local chain, as @solana/spl-token has it.
  const owner = "HpDtEWq99SsLjsSzNgy3wxbddfFw4izUQs5CotYJ2jaW";
  const mint = "EmfPPP2B5qMV7DUBZMbLdREg8H8biyhXQEqW5neqAu3W";
  expect(treasuryOf(owner, mint)).toEqual({
    owner,
    mint,
    tokenAccount: "HcgjR6rucwkUn6dC1hyMTNvKBVsoLPAmCPg5Dkwdt9yB",
  });
});
