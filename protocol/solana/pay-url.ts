/** Solana Pay's transfer requests, `solana:<recipient>?amount=…&spl-token=…&reference=…` (docs.solanapay.com/spec). */

import { base58 } from "@scure/base";

export interface TransferRequest {
  /** The wallet that is paid, not its token account. */
  readonly recipient: string;
  /** In whole coins, a decimal number without an exponent. */
  readonly amount: string;
  readonly splToken: string;
  readonly reference: string;
  readonly label: string;
  readonly memo: string;
}

const SCHEME = "solana:";
const ADDRESS_BYTES = 32;
const AMOUNT = /^\d{1,16}(\.\d{1,9})?$/;

/** Writes a request as wallets read it from a link or a QR code. */
export function payUrl({ recipient, amount, splToken, reference, label, memo }: TransferRequest): string {
  // Wallets take a plus for itself, so blanks are written %20.
  const query = Object.entries({ amount, "spl-token": splToken, reference, label, memo })
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join("&");
  return `${SCHEME}${recipient}?${query}`;
}

/** The inverse of {@link payUrl}: null for what is no transfer of a token with one reference. */
export function parsePayUrl(text: string): TransferRequest | null {
  const [, recipient = "", query = ""] = /^solana:([^?]*)\?(.*)$/s.exec(text) ?? [];
  const values = valuesOf(query);
  const one = (name: string) => values?.get(name) ?? "";
  const request = {
    recipient,
    amount: one("amount"),
    splToken: one("spl-token"),
    reference: one("reference"),
    label: one("label"),
    memo: one("memo"),
  };
  const addresses = [request.recipient, request.splToken, request.reference];
  return addresses.every(isAddress) && AMOUNT.test(request.amount) ? request : null;
}

/** Null where it is not well-formed. */
function valuesOf(query: string): Map<string, string> | null {
  try {
    return new Map(query.split("&").map((pair) => splitPair(pair).map(decodeURIComponent) as [string, string]));
  } catch {
    return null;
  }
}

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf("=");
  return at === -1 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
}

/** Whether a text is an address of Solana: 32 bytes in base58. */
export function isAddress(text: string): boolean {
  if (!/^[1-9A-HJ-NP-Za-km-z]{32,44}$/.test(text)) return false;
  return base58.decode(text).length === ADDRESS_BYTES;
}
