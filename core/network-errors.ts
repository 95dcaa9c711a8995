/** Errors of private networks: a part of the one table (core/errors.ts). */

import { row } from "./error-row.ts";

export const NETWORK_ERRORS = {
  // One answer for a network that is not there and for one that the account is not in: nobody learns which.
  network_not_found: row(
    404,
    "not_found_error",
    "This account is in no such private network.",
    "GET /api/v1/networks lists yours.",
  ),
  network_member_not_found: row(
    404,
    "not_found_error",
    "The private network has no such member.",
    "GET /api/v1/networks/{id}/members lists them.",
  ),
  network_invite_not_found: row(
    404,
    "not_found_error",
    "The private network has no such invite.",
    "GET /api/v1/networks/{id}/invites lists them.",
  ),
  not_network_admin: row(
    403,
    "permission_error",
    "Only the admin of a private network may do this.",
    "Ask its admin: GET /api/v1/networks/{id}/members names it.",
  ),
  admin_stays: row(
    409,
    "conflict_error",
    "The admin of a private network cannot leave it.",
    "Close the network if nobody needs it any more.",
  ),
  network_limit: row(
    409,
    "conflict_error",
    "The account is in as many private networks as it may.",
    "Leave or close one first.",
  ),
  network_full: row(
    409,
    "conflict_error",
    "The private network has as many members as it may.",
    "Its admin can remove some.",
  ),
} as const;
