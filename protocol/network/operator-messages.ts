/** Shapes of the messages that operators send to daemons. */

import { z } from "zod";
import { LIMITS } from "../../core/limits.ts";
import { NOTICE_LEVELS } from "../daemon/messages.ts";
import { accountId, clientId, daemonId } from "../ids.ts";
import { personText, queryLimit, time } from "./common.ts";

/** It stands in paths, where dots alone would mean something else. */
export const operatorMessageId = clientId
  .refine((id) => /^[A-Za-z0-9]/.test(id), "must begin with a letter or a digit")
  .meta({ description: "The same id is one message, which a daemon shows once.", example: "deploy-2026-12-01" });

const level = z.enum(NOTICE_LEVELS).meta({ description: "How the daemon's log shows it.", example: "warning" });
const toDaemon = daemonId.meta({ description: "The one daemon that it is for." });
const toAccount = accountId.meta({
  description: "The account whose daemons it is for.",
  example: "0R7uXmQ2b1vXkYt3Zp9aLc",
});

export const sendOperatorMessage = z
  .strictObject({
    id: operatorMessageId,
    level,
    text: personText(1, LIMITS.operatorMessageCharacters).meta({
      description: "What is told.",
      example: "The network is updated at noon: daemons reconnect by themselves.",
    }),
    daemon: toDaemon.optional(),
    account: toAccount.optional(),
    all: z.literal(true).optional().meta({ description: "It is for every daemon." }),
    until: z.iso.datetime({ offset: true }).meta({
      description: "Daemons that connect before it are told too; RFC 3339, at most 366 days ahead.",
      example: "2026-12-01T12:00:00Z",
    }),
  })
  .refine(({ daemon, account, all }) => [daemon, account, all].filter((to) => to !== undefined).length === 1, {
    path: ["all"],
    error: "must be true, or `daemon` or `account` must be named: one of the three",
  });

export const operatorMessage = z.object({
  id: operatorMessageId,
  level,
  text: z.string(),
  daemon: toDaemon.nullable(),
  account: toAccount.nullable(),
  until: time,
  sent_by: z.string().meta({ description: "The operator who sent it.", example: "alice" }),
  sent_at: time,
  withdrawn_at: time.nullable().meta({ description: "Since when nobody is told any more.", example: null }),
});

export const sentOperatorMessage = operatorMessage.extend({
  told: z.int().min(0).meta({ description: "Connected daemons that this call told.", example: 3 }),
});

export const operatorMessageQuery = z.object({
  cursor: z.string().max(128).optional().meta({ description: "The `next` of the page before." }),
  limit: queryLimit.optional(),
});

export const operatorMessagePage = z.object({ data: z.array(operatorMessage), next: z.string().nullable() });
