/** The network's API: every noun in a file of its own. */

import { admin } from "./admin.ts";
import { adminDeposits } from "./admin-deposits.ts";
import { newApi } from "./app.ts";
import { balance } from "./balance.ts";
import { checks } from "./checks.ts";
import { connect } from "./connect.ts";
import { daemons } from "./daemons.ts";
import { deposits } from "./deposits.ts";
import { epochs } from "./epochs.ts";
import { estimate } from "./estimate.ts";
import { invariants } from "./invariants.ts";
import { jobs } from "./jobs.ts";
import { keys } from "./keys.ts";
import { ledger } from "./ledger.ts";
import { liveBalance } from "./live-balance.ts";
import { market } from "./market.ts";
import { networkInvites } from "./network-invites.ts";
import { networkMembers } from "./network-members.ts";
import { networks } from "./networks.ts";
import { operatorMessages } from "./operator-messages.ts";
import { probes } from "./probes.ts";
import { receipts } from "./receipts.ts";
import { reversals } from "./reversals.ts";
import { serviceLevels } from "./service-levels.ts";
import { auth } from "./sign-in.ts";
import { starters } from "./starters.ts";
import { status } from "./status.ts";
import { team } from "./team.ts";
import { transfers } from "./transfers.ts";
import { usage } from "./usage.ts";
import { wallets } from "./wallets.ts";
import { why } from "./why.ts";

export const api = newApi();

for (const noun of [
  auth,
  wallets,
  starters,
  balance,
  liveBalance,
  ledger,
  usage,
  serviceLevels,
  transfers,
  estimate,
  keys,
  team,
  jobs,
  receipts,
  deposits,
  networks,
  networkMembers,
  networkInvites,
  daemons,
  why,
  connect,
  status,
  invariants,
  epochs,
  market,
  admin,
  adminDeposits,
  operatorMessages,
  probes,
  reversals,
  checks,
])
  api.route("/", noun);
