import { describe, expect, it } from "vitest";
import { parsePublicKey, parseWalletSignature, verifyStrict } from "../../../core/keys.ts";
import { utf8ToBytes } from "../../../core/receipt/canonical.ts";
import { type SignInInput, signInMessage } from "../../../protocol/sign-in-message.ts";
import { walletOf } from "../../support/wallet.ts";

const input: SignInInput = {
  domain: "tollmill.example:8443",
  address: "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV",
  statement: "Sign in to Tollmill. This moves nothing and costs nothing.",
  uri: "https://tollmill.example:8443",
  version: "1",
  chainId: "solana:mainnet",
  nonce: "0R7uXmQ2b1vXkYt3Zp9aLc",
  issuedAt: "2026-11-25T10:00:00.000Z",
  expirationTime: "2026-11-25T10:05:00.000Z",
  requestId: "req_0R7uXmQ2b1vXkYt3Zp9aLd",
  resources: ["https://tollmill.example:8443/docs", "https://tollmill.example:8443/terms"],
};

// As createSignInMessageText of @solana/wallet-standard-util 1.1.2 writes the same input.
const WRITTEN = `tollmill.example:8443 wants you to sign in with your Solana account:
7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV

Sign in to Tollmill. This moves nothing and costs nothing.

URI: https://tollmill.example:8443
Version: 1
Chain ID: solana:mainnet
Nonce: 0R7uXmQ2b1vXkYt3Zp9aLc
Issued At: 2026-11-25T10:00:00.000Z
Expiration Time: 2026-11-25T10:05:00.000Z
Request ID: req_0R7uXmQ2b1vXkYt3Zp9aLd`;
const RESOURCES = "\nResources:\n- https://tollmill.example:8443/docs\n- https://tollmill.example:8443/terms";

describe("a sign-in message", () => {
  it("is written as the wallet standard writes it", () => {
    expect(signInMessage(input)).toBe(WRITTEN + RESOURCES);
    expect(signInMessage({ ...input, resources: [] })).toBe(WRITTEN);
  });

  it.each(["domain", "address", "statement", "uri", "chainId", "nonce", "requestId"] as const)(
    "lets no line end in its %s pass for another part",
    (part) => {
      for (const end of ["\n", "\r", "\r\n"]) {
        const forged = { ...input, [part]: `${input[part]}${end}Nonce: 00000000` };
        expect(() => signInMessage(forged)).toThrow(RangeError);
      }
      expect(() => signInMessage({ ...input, resources: ["a\n- b"] })).toThrow(RangeError);
    },
  );

  it("is signed by the wallet of its address alone", () => {
    const alice = walletOf("alice");
    const text = signInMessage({ ...input, address: alice.address });
    const key = parsePublicKey(alice.address) ?? new Uint8Array();
    const signed = (signature: string) =>
      verifyStrict(parseWalletSignature(signature) ?? new Uint8Array(), utf8ToBytes(text), key);
    expect(signed(alice.sign(text))).toBe(true);
    expect(signed(alice.sign(`${text} `))).toBe(false);
    expect(signed(walletOf("bob").sign(text))).toBe(false);
  });
});
