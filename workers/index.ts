export { Account } from "../durable-objects/account/index.ts";
export { Relay } from "../durable-objects/relay/index.ts";
export { Scheduler } from "../durable-objects/scheduler/index.ts";

export default {
  async fetch(_request, env) {
    return Response.json({ network: env.TOLLMILL_NETWORK, account: await env.ACCOUNT.getByName("placeholder").ping() });
  },
  async queue(batch) {
    batch.ackAll();
  },
} satisfies ExportedHandler<Env>;
