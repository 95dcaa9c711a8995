/** `tollmill send`: credits to another account, after saying what that means. */

import { randomUUID } from "node:crypto";
import { isId128 } from "../../core/ids.ts";
import { parseCredits } from "../../core/units.ts";
import { transfer } from "../../protocol/network/account.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { callJson } from "../network/api.ts";
import { type Context, type GlobalFlags, settingsOf } from "./context.ts";

export interface SendFlags extends GlobalFlags {
  readonly memo: string;
  readonly id?: string;
  readonly yes?: boolean;
}

/** Sends. Without `--yes` it only says what it would do, as a transfer cannot be taken back. */
export async function send(context: Context, to: string, amount: string, flags: SendFlags): Promise<ExitCode> {
  const { terminal } = context;
  if (!isId128(to)) throw new Failure(EXIT.usage, `${to} is no account id: it has 22 letters and digits.`);
  if ((parseCredits(amount) ?? 0) <= 0) {
    throw new Failure(EXIT.usage, `${amount} is no amount: credits above 0 with at most three places, e.g. 12.500.`);
  }
  // A repetition by hand names the same id, and then nothing is sent twice.
  const id = flags.id ?? randomUUID();
  if (flags.yes !== true) {
    terminal.err(
      `This would send ${amount} credits to ${to}. They cannot be taken back, and lose what stands behind them.`,
    );
    const memo = flags.memo === "" ? "" : ` --memo ${JSON.stringify(flags.memo)}`;
    terminal.err(`To send them: tollmill send ${to} ${amount}${memo} --id ${id} --yes`);
    return EXIT.ok;
  }
  // Before the call: whoever does not see its answer sends the same again under this id, and nothing twice.
  if (flags.id === undefined) terminal.err(`Sending under --id ${id}`);
  const body = { id, to, amount, memo: flags.memo };
  const sent = await callJson(await settingsOf(context, flags), "/api/v1/transfers", transfer, {
    method: "POST",
    body,
  });
  if (flags.json === true) terminal.out(JSON.stringify(sent));
  else {
    terminal.out(`${sent.amount} credits to ${sent.to}: ${sent.state} (entry ${sent.seq}, id ${sent.id})`);
    if (sent.state === "sent")
      terminal.err("The other account could not be reached yet; the network brings it until it has.");
  }
  return EXIT.ok;
}
