/** The Worker: what the platform calls, and the classes of its objects. */

import { emit } from "../durable-objects/shared/events.ts";
import { handleQueue } from "../queues/index.ts";
import { app } from "./app.ts";
import { runDue } from "./cron/index.ts";

export { Account } from "../durable-objects/account/index.ts";
export { AccountSlice } from "../durable-objects/account-slice/index.ts";
export { Relay } from "../durable-objects/relay/index.ts";
export { Scheduler } from "../durable-objects/scheduler/index.ts";

export default {
  fetch: app.fetch,
  async scheduled(_controller, env) {
    await runDue(env, Date.now());
  },
  async queue(batch, env) {
    emit("queue_batch", { ...(await handleQueue(batch, env, Date.now())) });
  },
} satisfies ExportedHandler<Env>;
