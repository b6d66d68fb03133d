import type { Static, TObject, TSchema } from "typebox";
import { Value } from "typebox/value";
import { assert } from "../../kernel/assert.ts";
import type { JsonObject } from "../../kernel/json.ts";
import type { NewEvent, RecordedEvent } from "./event.ts";

/** Turns the data of one version into that of the next. Pure. */
export type Upcaster = (data: JsonObject) => JsonObject;

/** A type of event: its current shape, and how older shapes become it. */
export interface EventDefinition<Schema extends TSchema = TSchema> {
  /** `orders.order_placed`. */
  readonly type: string;
  /** Current version of the shape, 1 or more. */
  readonly version: number;
  /** What it means, one sentence, for the reference. */
  readonly description: string;
  readonly data: Schema;
  /** By the version they start from: `{ 1: toVersion2 }`; one for every version before this one. */
  readonly upcasters: Readonly<Record<number, Upcaster>>;
  /** Makes an event of the current version. */
  readonly make: (
    stream: string,
    data: Static<Schema> & object,
    occurredAt?: Date,
  ) => NewEvent<Static<Schema> & object>;
}

/** What {@link defineEvent} needs. */
export interface EventDescription<Schema extends TSchema> {
  readonly type: string;
  readonly version: number;
  readonly description: string;
  readonly data: Schema;
  readonly upcasters?: Readonly<Record<number, Upcaster>>;
}

/** Declares a type of event. @throws AssertionError when a version has no way up */
export function defineEvent<Schema extends TObject>(
  description: EventDescription<Schema>,
): EventDefinition<Schema> {
  const { type, version } = description;
  const upcasters = description.upcasters ?? {};
  for (let older = 1; older < version; older++) {
    assert(upcasters[older], `${type}: an upcaster from version ${older}`);
  }
  return {
    ...description,
    upcasters,
    make: (stream, data, occurredAt) => ({
      type,
      version,
      stream,
      data,
      ...(occurredAt ? { occurredAt } : {}),
    }),
  };
}

/** All types of events of the product. */
export interface EventRegistry {
  /** Sorted by type. */
  readonly definitions: readonly EventDefinition[];
  find(type: string): EventDefinition | undefined;
  /**
   * Brings an event's data to its type's current version; unknown types pass as they are.
   *
   * @throws UnknownEventVersionError for a version newer than this code
   */
  upcast(event: RecordedEvent): RecordedEvent;
  /** What is wrong with an event's data, as sentences; empty when nothing is. */
  check(event: NewEvent): readonly string[];
}

/** An event was written by newer code: whoever reads it must be updated first. */
export class UnknownEventVersionError extends Error {
  override readonly name = "UnknownEventVersionError";
  readonly code = "ERR_EVENT_VERSION";
  readonly retryable = false;
}

/** Collects definitions. @throws AssertionError when two have one type */
export function createEventRegistry(definitions: readonly EventDefinition[]): EventRegistry {
  const byType = new Map<string, EventDefinition>();
  for (const definition of definitions) {
    assert(!byType.has(definition.type), `${definition.type} is defined once`);
    byType.set(definition.type, definition);
  }
  return {
    definitions: definitions.toSorted((a, b) => (a.type < b.type ? -1 : 1)),
    find: (type) => byType.get(type),
    upcast(event) {
      const definition = byType.get(event.type);
      if (!definition || definition.version === event.version) return event;
      return upcastTo(definition, event);
    },
    check(event) {
      const definition = byType.get(event.type);
      if (!definition) return [`${event.type} is not a known type of event`];
      if (event.version !== definition.version) {
        return [`${event.type} is at version ${definition.version}, not ${event.version}`];
      }
      const errors = Value.Errors(definition.data, event.data);
      return errors.map(({ instancePath, message }) => `data${instancePath} ${message}`);
    },
  };
}

function upcastTo(definition: EventDefinition, event: RecordedEvent): RecordedEvent {
  const { type, version: newest } = definition;
  if (event.version > newest) {
    const message = `${type} has version ${event.version}; this code knows up to ${newest}`;
    throw new UnknownEventVersionError(message);
  }
  let { data } = event;
  for (let version = event.version; version < newest; version++) {
    const up = definition.upcasters[version];
    assert(up, `${type}: an upcaster from version ${version}`);
    data = up(data);
  }
  return { ...event, version: newest, data };
}
