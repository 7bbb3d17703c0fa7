/* SPDX-License-Identifier: Apache-2.0 */
/* Renewal information: a window, and maybe a page that explains it. */
#include "acme/renewal_info_doc.h"

#include "acme/doc.h"
#include "acme/url.h"

int renewal_info_doc_read(struct str body, struct arena *arena,
                          struct renewal_info_doc *out, struct err *e)
{
	struct doc d = { "renewal information", arena, 0, e, NULL };
	const json_t *window = NULL;
	int rc = doc_open(&d, body);

	*out = (struct renewal_info_doc){ 0 };
	if (rc < 0)
		return rc;
	rc = json_get_object(d.root, "suggestedWindow", &window, e);
	rc = rc ? rc : doc_date(&d, window, "start", &out->start);
	rc = rc ? rc : doc_date(&d, window, "end", &out->end);
	if (rc == 0 && (out->start == 0 || out->end <= out->start))
		rc = err_set(
			e, ERR_INVALID,
			"\"suggestedWindow\" needs a start before its end");
	/* Shown to people, never fetched: any string will do. */
	rc = rc ? rc
	        : doc_str(&d, d.root, "explanationURL", URL_MAX, DOC_OPTIONAL,
	                  &out->explanation);
	return doc_close(&d, rc);
}
