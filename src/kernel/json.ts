/** A value JSON can carry. */
export type JsonValue = string | number | boolean | null | JsonArray | JsonObject;

/** A JSON array. */
export type JsonArray = readonly JsonValue[];

/** A JSON object: payloads of jobs, data of events. */
export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}
