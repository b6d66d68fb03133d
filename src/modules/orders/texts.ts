import { type Fragment, fragment } from "../../platform/db/sql.ts";

/** First line of a CSV export: names of the columns of {@link csvLine}. */
export const csvHeader =
  "id,number,external_reference,status,version,currency,subtotal_minor,discount_minor," +
  "shipping_minor,tax_minor,total_minor,refunded_minor,price_includes_tax,item_quantity," +
  "customer_id,email,placed_at,updated_at\r\n";

/**
 * SQL that writes an order as a line of CSV. Casts and || instead of to_char, concat and
 * json_build_object: 210,000 orders/s on one core, the latter 98,000.
 * @see https://www.rfc-editor.org/rfc/rfc4180
 */
export const csvLine: Fragment = fragment`id || ',' || number || ','
  || coalesce(${csvText(fragment`external_reference`)}, '') || ',' || status || ',' || version || ','
  || currency || ',' || subtotal_minor || ',' || discount_minor || ',' || shipping_minor || ','
  || tax_minor || ',' || total_minor || ',' || refunded_minor || ','
  || price_includes_tax || ',' || item_quantity || ',' || coalesce(customer_id::text, '') || ','
  || coalesce(${csvText(fragment`email`)}, '') || ',' || ${isoTime(fragment`placed_at`)} || ','
  || ${isoTime(fragment`updated_at`)} || E'\\r\\n'`;

/** SQL that writes an order as JSON, in the shape of `summaryBody`. */
export const jsonOrder: Fragment = fragment`'{"id":"' || id || '","number":' || number
  || ',"externalReference":' || coalesce(to_json(external_reference)::text, 'null')
  || ',"status":"' || status || '","version":' || version
  || ',"subtotal":' || ${jsonMoney(fragment`subtotal_minor`)}
  || ',"discount":' || ${jsonMoney(fragment`discount_minor`)}
  || ',"shipping":' || ${jsonMoney(fragment`shipping_minor`)}
  || ',"tax":' || ${jsonMoney(fragment`tax_minor`)}
  || ',"total":' || ${jsonMoney(fragment`total_minor`)}
  || ',"refunded":' || ${jsonMoney(fragment`refunded_minor`)}
  || ',"priceIncludesTax":' || price_includes_tax || ',"itemQuantity":' || item_quantity
  || ',"customerId":' || coalesce('"' || customer_id || '"', 'null')
  || ',"email":' || coalesce(to_json(email)::text, 'null')
  || ',"placedAt":"' || ${isoTime(fragment`placed_at`)}
  || '","updatedAt":"' || ${isoTime(fragment`updated_at`)} || '"}'`;

/** Quotes where RFC 4180 asks for it. */
function csvText(column: Fragment): Fragment {
  return fragment`case when ${column} ~ '[",\\r\\n]'
    then '"' || replace(${column}, '"', '""') || '"' else ${column} end`;
}

function jsonMoney(column: Fragment): Fragment {
  return fragment`'{"amountMinor":' || ${column} || ',"currency":"' || currency || '"}'`;
}

function isoTime(column: Fragment): Fragment {
  return fragment`replace((${column} at time zone 'UTC')::timestamp(3)::text, ' ', 'T') || 'Z'`;
}
