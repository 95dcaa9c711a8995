/** Amounts as JSON-RPC shows them: the whole number, and the same with a decimal point for people. */

export interface UiAmount {
  readonly amount: string;
  readonly decimals: number;
  readonly uiAmount: number;
  readonly uiAmountString: string;
}

export function uiAmount(amount: bigint, decimals: number): UiAmount {
  const uiAmountString = decimalText(amount, decimals);
  return { amount: amount.toString(), decimals, uiAmount: Number(uiAmountString), uiAmountString };
}

/** `1500000` with 6 decimals → `1.5`. */
export function decimalText(amount: bigint, decimals: number): string {
  const digits = amount.toString().padStart(decimals + 1, "0");
  const end = digits.length - decimals;
  const fraction = digits.slice(end).replace(/0+$/, "");
  return fraction === "" ? digits.slice(0, end) : `${digits.slice(0, end)}.${fraction}`;
}

/** `1.5` with 6 decimals → `1500000`; null for what is no number from 0 on or has more places. */
export function parseDecimal(text: string, decimals: number): bigint | null {
  const { whole = "", fraction = "" } = /^(?<whole>\d{1,18})(?:\.(?<fraction>\d+))?$/.exec(text)?.groups ?? {};
  if (whole === "" || fraction.length > decimals) return null;
  return BigInt(whole + fraction.padEnd(decimals, "0"));
}
