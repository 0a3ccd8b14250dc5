/*
 * scale_plot.c - the model's curves as SVG: CPUs and faults a second, both logarithmic, and the line of who
 * loses nothing.
 */
#include "lab/bench/scale.h"

#include <math.h>
#include <stdio.h>

enum { WIDTH = 640, HEIGHT = 480, LEFT = 70, RIGHT = 20, TOP = 40, BOTTOM = 50 };

struct axes {
	double x_most;		/* log2 of CPUs */
	double y_least, y_most; /* log10 of faults a second, whole */
};

static double across(const struct axes *axes, double cpus)
{
	return LEFT + log2(cpus) / axes->x_most * (WIDTH - LEFT - RIGHT);
}

static double down(const struct axes *axes, double rate)
{
	double part = (log10(rate) - axes->y_least) / (axes->y_most - axes->y_least);

	return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
}

static struct axes choose_axes(const struct scale_model *model)
{
	unsigned last = model->points - 1;
	double least = model->curve[0][SCALE_VMA].rate[0], most = least * model->cpus[last];

	for (unsigned point = 0; point < model->points; point++)
		for (unsigned locks = 0; locks < SCALE_LOCKS; locks++)
			least = fmin(least, model->curve[0][locks].rate[point]);
	return (struct axes){ log2(model->cpus[last]), floor(log10(least)), ceil(log10(most)) };
}

static void draw_axes(FILE *to, const struct axes *axes, const struct scale_model *model)
{
	for (unsigned point = 0; point < model->points; point++) {
		double x = across(axes, model->cpus[point]);

		fprintf(to, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='#ddd'/>\n", x, TOP, x,
			HEIGHT - BOTTOM);
		fprintf(to, "<text x='%.1f' y='%d' text-anchor='middle'>%u</text>\n", x, HEIGHT - BOTTOM + 18,
			model->cpus[point]);
	}
	for (double power = axes->y_least; power <= axes->y_most; power++) {
		double y = down(axes, pow(10, power));

		fprintf(to, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#ddd'/>\n", LEFT, y,
			WIDTH - RIGHT, y);
		fprintf(to, "<text x='%d' y='%.1f' text-anchor='end'>%g M</text>\n", LEFT - 8, y + 4,
			pow(10, power - 6));
	}
	fprintf(to, "<text x='%d' y='%d' text-anchor='middle'>CPUs</text>\n", (LEFT + WIDTH - RIGHT) / 2,
		HEIGHT - 10);
	fprintf(to, "<text x='%d' y='20'>faults a second</text>\n", LEFT);
}

static void draw_curve(FILE *to, const struct axes *axes, const struct scale_model *model,
		       enum scale_locks locks, const char *colour)
{
	const double *rate = model->curve[0][locks].rate;
	unsigned last = model->points - 1;

	fprintf(to, "<polyline fill='none' stroke-width='2' stroke='%s' points='", colour);
	for (unsigned point = 0; point <= last; point++)
		fprintf(to, "%.1f,%.1f ", across(axes, model->cpus[point]), down(axes, rate[point]));
	fprintf(to, "'/>\n<text x='%d' y='%.1f' text-anchor='end' fill='%s'>%s</text>\n", WIDTH - RIGHT - 4,
		down(axes, rate[last]) + (locks == SCALE_VMA ? 48 : -8), colour, scale_lock_names[locks]);
}

static void draw_ideal(FILE *to, const struct axes *axes, const struct scale_model *model)
{
	unsigned most = model->cpus[model->points - 1];
	double one = model->curve[0][SCALE_VMA].rate[0];

	fprintf(to, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#888' stroke-dasharray='6 4'/>\n",
		across(axes, 1), down(axes, one), across(axes, most), down(axes, one * most));
	fprintf(to, "<text x='%d' y='%.1f' text-anchor='end' fill='#888'>ideal</text>\n", WIDTH - RIGHT - 60,
		down(axes, one * most) + 4);
}

void scale_draw(FILE *to, const struct scale_model *model)
{
	struct axes axes = choose_axes(model);

	fprintf(to,
		"<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' font-family='sans-serif' "
		"font-size='12'>\n<rect width='100%%' height='100%%' fill='white'/>\n",
		WIDTH, HEIGHT);
	draw_axes(to, &axes, model);
	draw_ideal(to, &axes, model);
	draw_curve(to, &axes, model, SCALE_VMA, "#1560a8");
	draw_curve(to, &axes, model, SCALE_SINGLE, "#b03030");
	fprintf(to, "</svg>\n");
}
