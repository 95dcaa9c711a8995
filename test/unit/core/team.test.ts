import { describe, expect, it } from "vitest";
import { SCOPES } from "../../../core/account/scopes.ts";
import {
  allowedBy,
  barChange,
  barRemoval,
  beyondRole,
  ROLE_SCOPES,
  ROLES,
  type Role,
  runsTeam,
  type Standing,
} from "../../../core/account/team.ts";
import type { MemberId } from "../../../core/ids.ts";

const standing = (id: string, role: Role, removedAt: number | null = null): Standing => ({
  id: id as MemberId,
  role,
  removedAt,
});
const pairs = ROLES.flatMap((by) => ROLES.map((role) => [by, role] as const));

describe("a role", () => {
  it("allows what the table says", () => {
    expect(ROLE_SCOPES).toEqual({
      owner: SCOPES,
      billing: ["read", "manage", "transfer"],
      developer: ["inference", "read", "manage"],
      viewer: ["read"],
    });
    expect(ROLES.filter(runsTeam)).toEqual(["owner"]);
  });

  it.each(ROLES)("%s keeps of every set of scopes what it allows, and refuses the rest", (role) => {
    for (let bits = 0; bits < 2 ** SCOPES.length; bits++) {
      const scopes = SCOPES.filter((_, i) => (bits >> i) % 2 === 1);
      const allowed = allowedBy(role, scopes);
      expect(beyondRole(role, allowed)).toBeNull();
      expect(beyondRole(role, scopes)?.code).toBe(allowed.length === scopes.length ? undefined : "role_forbids");
    }
  });
});

describe("a change of another member", () => {
  it.each(pairs)("by %s to one who is %s is for owners alone", (by, role) => {
    const [a, b] = [standing("a", by), standing("b", role)];
    const team = [a, b, standing("c", "owner")];
    const code = by === "owner" ? undefined : "role_forbids";
    for (const wanted of ROLES) expect(barChange(team, a, b, wanted)?.code).toBe(code);
    expect(barRemoval(team, a, b)?.code).toBe(code);
  });

  it("finds nobody who was removed", () => {
    const [a, gone] = [standing("a", "owner"), standing("b", "viewer", 1)];
    expect(barChange([a, gone], a, gone, "owner")?.code).toBe("member_not_found");
    expect(barRemoval([a, gone], a, gone)).toBeNull();
  });
});

describe("a change of oneself", () => {
  it.each(ROLES)("lets %s take another name, and leave beside an owner, but rise never", (role) => {
    const own = standing("a", role);
    const team = [own, standing("b", "owner")];
    expect(barChange(team, own, own)).toBeNull();
    expect(barRemoval(team, own, own)).toBeNull();
    if (role !== "owner") expect(barChange(team, own, own, "owner")?.code).toBe("role_forbids");
    else expect(barChange(team, own, own, "viewer")).toBeNull();
  });

  it("keeps the last owner, whoever else was one", () => {
    const own = standing("a", "owner");
    const team = [own, standing("b", "owner", 1), standing("c", "billing")];
    expect(barChange(team, own, own, "developer")?.code).toBe("last_owner");
    expect(barRemoval(team, own, own)?.code).toBe("last_owner");
    expect(barChange(team, own, own, "owner")).toBeNull();
  });
});
