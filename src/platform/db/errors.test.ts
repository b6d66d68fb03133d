import assert from "node:assert/strict";
import { test } from "node:test";
import { toDbError } from "./errors.ts";

test("an error of the connection is told from one of the server, whatever its code looks like", () => {
  for (const code of ["EPIPE", "ECONNRESET", "ECONNREFUSED", "EBUSY", undefined]) {
    const error = toDbError(Object.assign(new Error("gone"), { code }));
    assert.equal(error.code, "ERR_DB_UNAVAILABLE", String(code));
    assert.equal(error.retryable, true, String(code));
  }
  for (const code of ["42P01", "22023", "XX000", "HV000", "P0001"])
    assert.equal(
      toDbError(Object.assign(new Error("no"), { code })).code,
      "ERR_DB_REFUSED",
      String(code),
    );
});
