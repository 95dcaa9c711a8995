/** `tollmill local faucet`: coins of the local Solana for an address. */

import { faucetAnswer } from "../../protocol/local/faucet.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { readLocalSolana } from "../network/settings.ts";
import type { Context, GlobalFlags } from "./context.ts";

export interface FaucetFlags extends GlobalFlags {
  readonly rpc?: string;
  readonly sol?: string;
  readonly usdc?: string;
  readonly one?: string;
}

export async function askFaucet(context: Context, address: string, flags: FaucetFlags): Promise<ExitCode> {
  const { sol, usdc, one } = flags;
  if (sol === undefined && usdc === undefined && one === undefined) {
    throw new Failure(EXIT.usage, "Say how much: --sol 1, --usdc 100, --one 1000, or several of them.");
  }
  const url = flags.rpc === undefined ? await readLocalSolana(context) : new URL(flags.rpc).origin;
  const body = { address, sol, usdc, one };
  const { signature, balance } = await callJson({ url, apiKey: null }, "/faucet", faucetAnswer, {
    method: "POST",
    body,
  }).catch((error: unknown) => {
    if (!(error instanceof Failure) || error.exitCode !== EXIT.unreachable) throw error;
    throw new Failure(EXIT.unreachable, `${url} is no local Solana. Start it with npm start, or give --rpc.`);
  });
  const { terminal } = context;
  if (flags.json === true) {
    terminal.out(JSON.stringify({ signature, balance }));
    return EXIT.ok;
  }
  terminal.out(`${address} has ${balance.sol} SOL, ${balance.usdc} USDC and ${balance.one} $ONE.`);
  terminal.out(`${url}/tx/${signature}`);
  return EXIT.ok;
}
