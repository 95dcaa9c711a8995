/** Errors of wallets and sessions: a part of the one table (core/errors.ts). */

import { row } from "./error-row.ts";

export const SIGN_IN_ERRORS = {
  invalid_challenge: row(
    401,
    "authentication_error",
    "The message is none that this network waits for.",
    "Ask for a new challenge and sign its message within five minutes: each may be used once, by its wallet, on its domain.",
  ),
  invalid_signature: row(
    401,
    "authentication_error",
    "The signature is not the wallet's over this message.",
    "Sign the bytes of the message as they were given, and send the 64 bytes of the signature in base58.",
  ),
  invalid_session: row(
    401,
    "authentication_error",
    "The session has ended.",
    "Sign in again: POST /api/v1/auth/challenge begins it.",
  ),
  refresh_reused: row(
    401,
    "authentication_error",
    "The refresh token was used before, so somebody else may have it, and its session was ended.",
    "Sign in again: POST /api/v1/auth/challenge begins it.",
  ),
  foreign_origin: row(
    403,
    "permission_error",
    "A cookie counts for pages of this network alone.",
    "Call from a page of the same origin, or send the token in the header `Authorization: Bearer tms_…`.",
  ),
  invalid_starter_code: row(
    400,
    "invalid_request_error",
    "The starter code is not valid.",
    "Check that it was copied whole, or ask who gave it to you for another one: each is for one account, and for a time.",
  ),
  wallet_not_found: row(404, "not_found_error", "This member has no such wallet.", "GET /api/v1/wallets lists yours."),
  wallet_linked: row(
    409,
    "conflict_error",
    "The wallet belongs to another member or account.",
    "Unlink it there first: a wallet belongs to one member of one account.",
  ),
  last_wallet: row(
    409,
    "conflict_error",
    "The member's last wallet that signs in cannot be unlinked.",
    "Link another one first.",
  ),
  wallet_limit: row(409, "conflict_error", "The member has as many wallets as it may.", "Unlink one first."),
} as const;
