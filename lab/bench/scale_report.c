/*
 * scale_report.c - what `quire bench scale` found, as tables and as JSON.
 */
#include "lab/bench/scale.h"

#include <stdio.h>
#include <string.h>

#define MEGA 1e6

/* ---- tables: this computer ----------------------------------------------------------------------------- */

static void print_figure(const struct bench_figure *figure)
{
	printf("  %6.2f (%.2f to %.2f, %s)%*s", figure->median / MEGA, figure->low / MEGA,
	       figure->high / MEGA, bench_word(figure), (int)(6 - strlen(bench_word(figure))), "");
}

static void print_host(const struct scale_options *options, const struct scale_host *host)
{
	bool noise = false;

	printf("On this computer (hosted machine, %u measurements by turns, medians and 95 %% intervals)\n",
	       options->repetitions);
	printf("  CPUs  %-32s%-32s  ratio\n", scale_lock_names[SCALE_VMA], scale_lock_names[SCALE_SINGLE]);
	for (unsigned i = 0; i < host->count; i++) {
		const struct bench_figure *figure = host->row[i].figure;

		printf("  %4u", host->row[i].threads);
		print_figure(&figure[SCALE_VMA]);
		print_figure(&figure[SCALE_SINGLE]);
		printf("  %.2f%s\n", figure[SCALE_VMA].median / figure[SCALE_SINGLE].median,
		       bench_differ(&figure[SCALE_VMA], &figure[SCALE_SINGLE])
			       ? ""
			       : " (no difference to be seen)");
		for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
			noise = noise || strcmp(bench_word(&figure[locks]), "noise") == 0;
	}
	if (noise)
		printf("  This computer was too busy: a figure that is noise means nothing.\n");
	printf("\n");
}

/* ---- tables: the model --------------------------------------------------------------------------------- */

static void print_costs(const struct scale_model *model)
{
	const uint64_t *cost = model->cost[0];

	printf("On modelled CPUs (an instruction %.1f ns, a cache line's transfer %.0f ns, an IPI %.0f ns)\n",
	       (double)cost[COST_INSTRUCTION] / 1e3, (double)cost[COST_TRANSFER] / 1e3,
	       (double)cost[COST_IPI] / 1e3);
}

static void print_curves(const struct scale_model *model)
{
	const struct scale_curve *curve = model->curve[0];

	printf("  CPUs  %-18s  %s\n", scale_lock_names[SCALE_VMA], scale_lock_names[SCALE_SINGLE]);
	for (unsigned point = 0; point < model->points; point++) {
		printf("  %4u", model->cpus[point]);
		for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
			printf("  %7.2f  %6.2fx ", curve[locks].rate[point] / MEGA,
			       curve[locks].rate[point] / curve[locks].rate[0]);
		printf("\n");
	}
	printf("\n");
}

static void print_knee(const struct scale_curve *curve, double all)
{
	printf("  %8s %6.1f  %6.1f", curve->rises ? "at least" : "", curve->knee, all / curve->rate[0]);
}

static void print_settings(const struct scale_model *model)
{
	unsigned last = model->points - 1;

	printf("  The knee: as many CPUs, if they lost nothing, would do the most that there is; and what %u do\n",
	       model->cpus[last]);
	printf("  costs                %-22s    %s\n", scale_lock_names[SCALE_VMA],
	       scale_lock_names[SCALE_SINGLE]);
	for (unsigned setting = 0; setting < SCALE_SETTINGS; setting++) {
		printf("  %-19s", model->setting[setting]);
		for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
			print_knee(&model->curve[setting][locks], model->curve[setting][locks].rate[last]);
		printf("\n");
	}
	for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
		printf("  %s: the knee moves by a factor of %.2f at most\n", scale_lock_names[locks],
		       scale_knee_moves(model, locks));
	printf("\n");
}

static long long number(json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static void print_lines(const struct scale_model *model, enum scale_locks locks)
{
	size_t i, n;
	json_t *line, *use;

	printf("  The dearest cache lines at %u CPUs, %s: microseconds waited, transfers\n", model->lines_at,
	       scale_lock_names[locks]);
	json_array_foreach(model->lines[locks], i, line) {
		printf("  %10.1f %8lld\n", (double)number(line, "ps") / 1e6, number(line, "transfers"));
		json_array_foreach(json_object_get(line, "uses"), n, use)
			printf("      %10.1f %8lld  %s\n", (double)number(use, "ps") / 1e6,
			       number(use, "transfers"), json_string_value(json_object_get(use, "code")));
	}
}

void scale_print(const struct scale_options *options, const struct scale_host *host,
		 const struct scale_model *model)
{
	printf("Millions of faults a second, each CPU in a mapping of %u pages, workload %s:\n",
	       options->pages, options->load->name);
	printf("%s\n\n", options->load->what);
	if (!options->no_host)
		print_host(options, host);
	if (options->no_model)
		return;
	print_costs(model);
	print_curves(model);
	print_settings(model);
	for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
		print_lines(model, locks);
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static json_t *host_json(const struct scale_host *host)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < host->count; i++)
		json_array_append_new(
			rows, json_pack("{s:i,s:o,s:o}", "cpus", (int)host->row[i].threads, "vma_locks",
					bench_json(&host->row[i].figure[SCALE_VMA]), "single_lock",
					bench_json(&host->row[i].figure[SCALE_SINGLE])));
	return rows;
}

static json_t *curve_json(const struct scale_model *model, const struct scale_curve *curve)
{
	json_t *rates = json_array();

	for (unsigned point = 0; point < model->points; point++)
		json_array_append_new(rates, json_pack("{s:i,s:f}", "cpus", (int)model->cpus[point], "rate",
						       curve->rate[point]));
	return json_pack("{s:o,s:f,s:b}", "points", rates, "knee", curve->knee, "rises", (int)curve->rises);
}

static json_t *setting_json(const struct scale_model *model, unsigned setting)
{
	const uint64_t *cost = model->cost[setting];

	return json_pack("{s:s,s:f,s:f,s:f,s:o,s:o}", "costs", model->setting[setting], "instruction_ns",
			 (double)cost[COST_INSTRUCTION] / 1e3, "transfer_ns",
			 (double)cost[COST_TRANSFER] / 1e3, "ipi_ns", (double)cost[COST_IPI] / 1e3,
			 "vma_locks", curve_json(model, &model->curve[setting][SCALE_VMA]), "single_lock",
			 curve_json(model, &model->curve[setting][SCALE_SINGLE]));
}

static json_t *model_json(const struct scale_model *model)
{
	json_t *settings = json_array();

	for (unsigned setting = 0; setting < SCALE_SETTINGS; setting++)
		json_array_append_new(settings, setting_json(model, setting));
	json_t *knees = json_pack("{s:f,s:f}", "vma_locks", scale_knee_moves(model, SCALE_VMA), "single_lock",
				  scale_knee_moves(model, SCALE_SINGLE));
	json_t *lines = json_pack("{s:i,s:O,s:O}", "cpus", (int)model->lines_at, "vma_locks",
				  model->lines[SCALE_VMA], "single_lock", model->lines[SCALE_SINGLE]);

	return json_pack("{s:o,s:o,s:o}", "settings", settings, "knee_moves_by", knees, "dearest_lines",
			 lines);
}

json_t *scale_json(const struct scale_options *options, const struct scale_host *host,
		   const struct scale_model *model)
{
	json_t *all = json_pack("{s:s,s:i}", "workload", options->load->name, "pages", (int)options->pages);

	if (!options->no_host) {
		json_object_set_new(all, "repetitions", json_integer(options->repetitions));
		json_object_set_new(all, "host", host_json(host));
	}
	if (!options->no_model)
		json_object_set_new(all, "model", model_json(model));
	return all;
}
