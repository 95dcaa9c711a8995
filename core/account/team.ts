/** Who may do what in an account's team: roles, the scopes that they allow, and who may change whom. */

import { type Refusal, refuse } from "../errors.ts";
import type { MemberId } from "../ids.ts";
import { SCOPES, type Scope } from "./scopes.ts";

export const ROLES = ["owner", "billing", "developer", "viewer"] as const;
/**
 * `owner`: everything, and the team itself. `billing`: sees and sends credits, but begins no job. `developer`: begins jobs.
 * `viewer`: only looks. Billing and developer look after their own keys; an owner after everyone's.
 */
export type Role = (typeof ROLES)[number];

/** The most that a key of a member may do. */
export const ROLE_SCOPES: Readonly<Record<Role, readonly Scope[]>> = {
  owner: SCOPES,
  billing: ["read", "manage", "transfer"],
  developer: ["inference", "read", "manage"],
  viewer: ["read"],
};

/** What of a member these rules look at. */
export interface Standing {
  readonly id: MemberId;
  readonly role: Role;
  readonly removedAt: number | null;
}

/** What of some scopes a role allows, in their own order. */
export function allowedBy(role: Role, scopes: readonly Scope[]): Scope[] {
  return scopes.filter((scope) => ROLE_SCOPES[role].includes(scope));
}

/** Whether a member with a role runs the team: invites, changes and removes others, and manages everyone's keys. */
export function runsTeam(role: Role): boolean {
  return role === "owner";
}

/** Why a key of a member with a role cannot have some scopes, or null. */
export function beyondRole(role: Role, scopes: readonly Scope[]): Refusal | null {
  const scope = scopes.find((each) => !ROLE_SCOPES[role].includes(each));
  if (scope === undefined) return null;
  return refuse("role_forbids", {
    detail: `The role \`${role}\` does not allow the scope \`${scope}\`.`,
    param: "scopes",
  });
}

/** Why a member may not change another's role or name, or null. Everyone may change its own name. */
export function barChange(team: readonly Standing[], by: Standing, member: Standing, role?: Role): Refusal | null {
  if (member.removedAt !== null) return refuse("member_not_found", { detail: "This member was removed." });
  const changesRole = role !== undefined && role !== member.role;
  if (!changesRole && by.id === member.id) return null;
  if (!runsTeam(by.role)) return refuse("role_forbids");
  return changesRole && isLastOwner(team, member) ? refuse("last_owner") : null;
}

/** Why a member may not remove another one, or null. Everyone may leave but the last owner. */
export function barRemoval(team: readonly Standing[], by: Standing, member: Standing): Refusal | null {
  if (!runsTeam(by.role) && by.id !== member.id) return refuse("role_forbids");
  return member.removedAt === null && isLastOwner(team, member) ? refuse("last_owner") : null;
}

function isLastOwner(team: readonly Standing[], member: Standing): boolean {
  if (member.role !== "owner") return false;
  return !team.some(({ id, role, removedAt }) => id !== member.id && role === "owner" && removedAt === null);
}
