/** The faucet as a wallet: it pays links of Solana Pay, so that a deposit can be tried with nothing else at hand. */

import { Keypair, PublicKey } from "@solana/web3.js";
import { expect, it } from "vitest";
import { ONE_MINT, TREASURY, USDC_MINT } from "../../../../localnet/chain/mints.ts";
import { payUrl } from "../../../../protocol/solana/pay-url.ts";
import { start, usdcAccount } from "./support.ts";

const reference = Keypair.generate().publicKey;
const link = (over: object = {}) =>
  payUrl({
    recipient: TREASURY,
    amount: "20.5",
    splToken: USDC_MINT,
    reference: reference.toBase58(),
    label: "L",
    memo: "m",
    ...over,
  });

async function pay(url: string, solana_pay_url: string) {
  const response = await fetch(`${url}/pay`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ solana_pay_url }),
  });
  return { status: response.status, json: (await response.json()) as { signature?: string; detail?: string } };
}

it("pays what a link asks for, and names its reference in the transfer", async () => {
  const { url, chain, client } = await start();
  const { status, json } = await pay(url, link());
  expect(status).toBe(200);
  const { value } = await client.getTokenAccountBalance(usdcAccount(new PublicKey(TREASURY)));
  expect(value.uiAmountString).toBe("20.5");
  chain.advance(2);
  const found = await client.getSignaturesForAddress(reference, {}, "confirmed");
  expect(found.map(({ signature }) => signature)).toEqual([json.signature]);
});

it("says what it does not pay", async () => {
  const { url } = await start();
  for (const [bad, words] of [
    ["https://example.com", "no link of Solana Pay"],
    [link({ splToken: ONE_MINT }), "in USDC of this chain alone"],
    [link({ amount: "0" }), "asks for nothing"],
    [link({ amount: "1.1234567" }), "at most 6 places"],
  ] as const) {
    const { status, json } = await pay(url, bad);
    expect([status, json.detail]).toEqual([422, expect.stringContaining(words)]);
  }
});
