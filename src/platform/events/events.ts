/** Front door of the event log. */
export { type AttributedEvent, appendEvents, eventDataBytesMax, writeEvents } from "./append.ts";
export {
  type EventMetadata,
  type EventOrigin,
  type LogPlace,
  type NewEvent,
  originOf,
  partitionCount,
  type RecordedEvent,
} from "./event.ts";
