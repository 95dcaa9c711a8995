/** Brings deposits to their accounts. A deposit's own id is the credit's, so however often it is brought, it counts once. */

import type { ErrorCode } from "../../core/errors.ts";
import type { AccountId } from "../../core/ids.ts";
import { LIMITS } from "../../core/limits.ts";
import { type DepositRow, dueDeposits, markCredited, suspend } from "../../db/deposits.ts";
import { emit, emitError } from "../../durable-objects/shared/events.ts";
import type { CreditCommand, CreditResult } from "../../protocol/internal/account.ts";
import { onAccount } from "../objects.ts";

/** Credits what was seen and is due, also what an earlier call has left half done. One that fails leaves the others alone. */
export async function creditDue(env: Env): Promise<void> {
  await creditEach(env, await dueDeposits(env.DB, LIMITS.depositsDue));
}

/** Credits those of some deposits that are due. */
export async function creditEach(env: Env, deposits: readonly DepositRow[]): Promise<void> {
  for (const deposit of deposits.filter(({ state }) => state === "seen")) {
    try {
      await creditSeen(env, deposit);
    } catch (error) {
      emitError("deposit_credit_failed", error, { deposit: deposit.id, account: deposit.account });
    }
  }
}

async function creditSeen(env: Env, deposit: DepositRow): Promise<void> {
  const { id, account, kind, lot, reason, intent } = deposit;
  if (account === null) throw new Error("a deposit that is due has no account");
  const result = await creditLot(env, deposit, account);
  if (result.type === "refused") {
    if (!isLasting(result.refusal.code)) throw new Error(`the account answers ${result.refusal.code}`);
    await suspend(env.DB, id, "account_full");
    emit("deposit_suspended", { deposit: id, account, intent, code: result.refusal.code });
    return;
  }
  await markCredited(env.DB, id, result.seq);
  emit("deposit_credited", { deposit: id, account, intent, kind, amount: lot, reason, seq: result.seq });
}

/** Whether an account refuses for a reason that stays until somebody does something about it. */
function isLasting(code: ErrorCode): boolean {
  return code === "lot_limit" || code === "invalid_request";
}

/** Makes the lot of a deposit in an account. The command is fixed by the deposit's row. */
export function creditLot(env: Env, deposit: DepositRow, account: AccountId): Promise<CreditResult> {
  const { id, kind, lot, slots, lot_expires_at, signature } = deposit;
  const command: CreditCommand = {
    id: `deposit:${id}`,
    kind,
    backing: "usdc",
    amount: lot,
    expiresAt: lot_expires_at,
    memo: `deposit ${signature}`,
    ...(slots === null ? {} : { concurrency: slots }),
  };
  return onAccount(env, account, (object) => object.credit(command));
}
