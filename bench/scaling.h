/* scaling.h - what the rows of scaling.c do that need no job: each returns the seconds for n of something. */
#ifndef TB_SCALING_H
#define TB_SCALING_H

/* scaling_head.c */
double scaling_group_alike(int n);
double scaling_group_mixed(int n);
double scaling_group_crossed(int n);
double scaling_arguments(int n);
double scaling_results(int n);
/* scaling_agent.c */
double scaling_one_end(int n);
double scaling_one_forgets(int n);
double scaling_abandon(int n);

#endif
